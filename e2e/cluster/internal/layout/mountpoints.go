package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// mountPointsFile lists host folders that had to be made, because a node covers them with
// its own. They belong to all clusters together, and go with the last.
func mountPointsFile() string { return filepath.Join(StateRoot(), ".mount-points.json") }

// MakeMountPoints makes the folders that are missing, and writes down which before it does.
func MakeMountPoints(paths []string) error {
	unlock, err := Lock("index")
	if err != nil {
		return err
	}
	defer unlock()
	made, err := madeMountPoints()
	if err != nil {
		return err
	}
	for _, path := range paths {
		for dir := path; dir != "/"; dir = filepath.Dir(dir) {
			if _, err := os.Stat(dir); err == nil {
				break
			}
			if slices.Contains(made, dir) {
				continue
			}
			made = append(made, dir)
			raw, err := json.Marshal(made)
			if err != nil {
				return err
			}
			if err := WriteFile(mountPointsFile(), raw, 0o600); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// RemoveMountPoints takes them away when no cluster is left.
func RemoveMountPoints() error {
	unlock, err := Lock("index")
	if err != nil {
		return err
	}
	defer unlock()
	names, err := Names()
	if err != nil || len(names) > 0 {
		return err
	}
	made, err := madeMountPoints()
	if err != nil {
		return err
	}
	slices.SortFunc(made, func(a, b string) int { return len(b) - len(a) }) // children first
	for _, dir := range made {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "left %s: %v\n", dir, err)
		}
	}
	for _, file := range []string{mountPointsFile(), mountPointsFile() + unfinished} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func madeMountPoints() ([]string, error) {
	raw, err := os.ReadFile(mountPointsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var made []string
	return made, json.Unmarshal(raw, &made)
}
