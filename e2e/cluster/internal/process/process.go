// Package process starts daemons that outlive us and ends exactly those again.
//
// A pid alone is not an identity: after a crash or a reboot it may be that of another process. A
// record therefore holds the pid, the kernel's start time of that process and the id of
// the boot in which it was started; all three must still agree before a signal is sent.
package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"storefront.dev/cluster/internal/layout"
)

// Record identifies one process of one boot.
type Record struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

// Daemon is a long-running process described by the command line that identifies it.
type Daemon struct {
	PIDFile string
	Args    []string // argv without the program; unique per daemon, used to find a lost one
	LogFile string
	Clone   uintptr // namespaces to start it in
}

// Identify records who pid is now.
func Identify(pid int) (Record, error) {
	start, _, err := stat(pid)
	if err != nil {
		return Record{}, err
	}
	return Record{PID: pid, Start: start, Boot: bootID()}, nil
}

// Alive reports whether the recorded process still runs (a zombie does not).
func (r Record) Alive() bool {
	if r.PID <= 1 || r.Boot != bootID() {
		return false
	}
	start, state, err := stat(r.PID)
	return err == nil && start == r.Start && state != "Z" && state != "X"
}

// Kill sends SIGKILL and waits until the process is gone.
func (r Record) Kill(patience time.Duration) error {
	if !r.Alive() {
		return nil
	}
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("kill pid %d: %w", r.PID, err)
	}
	for deadline := time.Now().Add(patience); r.Alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("pid %d did not die within %s after SIGKILL", r.PID, patience)
		}
	}
	return nil
}

// Find returns the daemon if it runs: by its record, or, when the record was lost
// (a crash between start and write), by its command line.
func (d Daemon) Find() (Record, bool) {
	var record Record
	if raw, err := os.ReadFile(d.PIDFile); err == nil && json.Unmarshal(raw, &record) == nil && record.Alive() {
		return record, true
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return Record{}, false
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() || !slices.Equal(arguments(pid), d.Args) {
			continue
		}
		if record, err := Identify(pid); err == nil && record.Alive() {
			return record, true
		}
	}
	return Record{}, false
}

// Start runs our own program with the daemon's arguments in a session of its own.
func (d Daemon) Start() (Record, error) {
	program, err := os.Executable()
	if err != nil {
		return Record{}, err
	}
	if err := os.MkdirAll(filepath.Dir(d.LogFile), 0o755); err != nil {
		return Record{}, err
	}
	log, err := os.OpenFile(d.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return Record{}, err
	}
	defer log.Close()
	command := exec.Command(program, d.Args...)
	command.Stdout, command.Stderr, command.Dir = log, log, "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: d.Clone}
	if err := command.Start(); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", strings.Join(d.Args, " "), err)
	}
	record, err := Identify(command.Process.Pid)
	go command.Wait() // no zombie while we live; afterwards the machine's init reaps it
	if err != nil {
		return Record{}, fmt.Errorf("%s ended at once, see %s", strings.Join(d.Args, " "), d.LogFile)
	}
	raw, err := json.Marshal(record)
	if err != nil {
		return Record{}, err
	}
	return record, layout.WriteFile(d.PIDFile, raw, 0o600)
}

// Ensure starts the daemon unless it runs.
func (d Daemon) Ensure() (record Record, started bool, err error) {
	if record, alive := d.Find(); alive {
		return record, false, nil
	}
	record, err = d.Start()
	return record, true, err
}

// Stop ends the daemon, if it runs.
func (d Daemon) Stop(patience time.Duration) error {
	if record, alive := d.Find(); alive {
		return record.Kill(patience)
	}
	return nil
}

// arguments is the command line of pid without the program's own name.
func arguments(pid int) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(raw) == 0 {
		return nil
	}
	parts := strings.Split(string(bytes.TrimRight(raw, "\x00")), "\x00")
	return parts[1:]
}

// stat reads start time (field 22) and state (field 3) of /proc/<pid>/stat; the command
// name before them may hold anything, so counting begins after its closing bracket.
func stat(pid int) (start uint64, state string, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", err
	}
	_, rest, _ := strings.Cut(string(raw[bytes.LastIndexByte(raw, ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return 0, "", fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return start, fields[0], err
}

func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(raw))
}
