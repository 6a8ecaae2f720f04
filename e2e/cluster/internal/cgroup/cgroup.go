// Package cgroup makes and removes the cgroups below which the kubelets put their pods,
// on cgroup v1 (one tree per controller), v2 (one tree) and hybrid machines.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const mount = "/sys/fs/cgroup"

// V2 reports whether the machine has the unified tree only.
func V2() bool {
	_, err := os.Stat(filepath.Join(mount, "cgroup.controllers"))
	return err == nil
}

// Controllers lists the controllers that the machine offers.
func Controllers() ([]string, error) {
	if V2() {
		raw, err := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
		return strings.Fields(string(raw)), err
	}
	trees, err := trees()
	var names []string
	for _, tree := range trees {
		names = append(names, strings.Split(filepath.Base(tree), ",")...)
	}
	return names, err
}

// trees are the roots of all hierarchies; links such as cpu -> cpu,cpuacct count once.
func trees() ([]string, error) {
	if V2() {
		return []string{mount}, nil
	}
	entries, err := os.ReadDir(mount)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, entry := range entries {
		if entry.IsDir() {
			all = append(all, filepath.Join(mount, entry.Name()))
		}
	}
	return all, nil
}

// Crowded reports whether processes keep the root from handing its controllers down: v2 allows
// both in the machine's own root only, and what a container with a cgroup namespace of its
// own sees as the root is a group like any other.
func Crowded() (bool, error) { return crowded(mount) }

func crowded(root string) (bool, error) {
	if _, err := os.Stat(filepath.Join(root, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		return false, nil // v1, or the machine's own root: no other group lacks a type
	}
	processes, err := os.ReadFile(filepath.Join(root, "cgroup.procs"))
	return len(strings.TrimSpace(string(processes))) > 0, err
}

// Make creates path (such as "/storefront-dev/node-1") in every hierarchy.
func Make(path string) error {
	roots, err := trees()
	if err != nil {
		return err
	}
	for _, root := range roots {
		dir := root
		for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
			if err := enable(dir); err != nil {
				return err
			}
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("make cgroup %s: %w", dir, err)
			}
			if err := fillCpuset(dir); err != nil {
				return err
			}
		}
		if err := enable(dir); err != nil {
			return err
		}
	}
	return nil
}

// enable hands every controller of a v2 group down to its children: the kubelet refuses a
// root that lacks one. In v1 there is nothing to hand down.
func enable(dir string) error {
	if !V2() {
		return nil
	}
	control := filepath.Join(dir, "cgroup.subtree_control")
	offered, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	enabled, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(offered)) {
		if slices.Contains(strings.Fields(string(enabled)), controller) {
			continue
		}
		if err := os.WriteFile(control, []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("enable cgroup controller %s below %s: %w", controller, dir, err)
		}
	}
	return nil
}

// fillCpuset copies the parent's processors and memory nodes: a new v1 cpuset has none,
// and no process can enter it until it has some.
func fillCpuset(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own := filepath.Join(dir, file)
		current, err := os.ReadFile(own)
		if V2() || err != nil || strings.TrimSpace(string(current)) != "" {
			continue
		}
		parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(own, parent, 0); err != nil {
			return fmt.Errorf("fill %s: %w", own, err)
		}
	}
	return nil
}

// Remove deletes the group and everything below it, in every hierarchy. The processes
// have ended already; the kernel may need a moment to notice.
func Remove(path string) error {
	roots, err := trees()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := removeTree(filepath.Join(root, strings.Trim(path, "/"))); err != nil {
			return err
		}
	}
	return nil
}

func removeTree(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // vanished meanwhile, or never there
		}
		if entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Reverse(dirs) // children first
	for _, dir := range dirs {
		if err := removeOne(dir); err != nil {
			return err
		}
	}
	return nil
}

func removeOne(dir string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := syscall.Rmdir(dir)
		if err == nil || err == syscall.ENOENT {
			return nil
		}
		if err != syscall.EBUSY || time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
