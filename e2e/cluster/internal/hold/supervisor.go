package hold

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Component is one process that the node's init keeps running.
type Component struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	Log  string   `json:"log"`
	// Stamp changes when the component must be started anew although Argv is the same:
	// another build of the binary, another content of its configuration file.
	Stamp string `json:"stamp"`
}

func (c Component) same(other Component) bool {
	return c.Stamp == other.Stamp && slices.Equal(c.Argv, other.Argv)
}

// Status is what init answers about one component.
type Status struct {
	Name     string    `json:"name"`
	PID      int       `json:"pid"` // inside the node's PID namespace; 0 when not running
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
}

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 5 * time.Second
	settledAfter = 10 * time.Second // a component that ran this long starts afresh with firstBackoff
)

// environment is all that components see: what happens to stand in the environment of
// whoever typed `up` (proxies, locales) must not change how the cluster behaves.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"LANG=C.UTF-8",
}

type unit struct {
	Component
	pid      int
	since    time.Time
	restarts int
	backoff  time.Duration
	retired  bool // asked to go; must not be restarted
}

// supervisor starts, reaps and restarts the node's components. As PID 1 of the namespace
// it also reaps what containerd's shims orphan, which is why it waits for any child
// instead of using os/exec, whose Wait would race with that.
type supervisor struct {
	mu    sync.Mutex
	units map[string]*unit
}

func newSupervisor() *supervisor { return &supervisor{units: map[string]*unit{}} }

// apply makes the wanted components the running ones: new ones start, changed ones
// restart, absent ones end, and what is right already is left alone.
func (s *supervisor) apply(wanted []Component) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, u := range s.units {
		if !slices.ContainsFunc(wanted, func(c Component) bool { return c.Name == name && c.same(u.Component) }) {
			u.retired = true
			s.kill(u)
			delete(s.units, name)
		}
	}
	for _, component := range wanted {
		u, known := s.units[component.Name]
		if !known {
			u = &unit{Component: component, backoff: firstBackoff}
			s.units[component.Name] = u
		}
		if u.pid == 0 {
			s.start(u)
		}
	}
}

func (s *supervisor) kill(u *unit) {
	if u.pid > 0 {
		_ = syscall.Kill(u.pid, syscall.SIGKILL)
	}
}

// start runs with the lock held, so that the reaper cannot see a pid before its unit has it.
func (s *supervisor) start(u *unit) {
	u.since = time.Now()
	pid, err := fork(u.Component)
	if err != nil {
		fmt.Fprintf(os.Stderr, "start %s: %v\n", u.Name, err)
		s.restartLater(u)
		return
	}
	u.pid = pid
	fmt.Fprintf(os.Stderr, "%s runs as pid %d\n", u.Name, pid)
}

const maxLogBytes = 32 << 20 // a longer log is set aside when its component starts anew

func fork(c Component) (int, error) {
	if log, err := os.Stat(c.Log); err == nil && log.Size() > maxLogBytes {
		_ = os.Rename(c.Log, c.Log+".1")
	}
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec(c.Argv[0], c.Argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   environment,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// restartLater runs with the lock held.
func (s *supervisor) restartLater(u *unit) {
	if time.Since(u.since) > settledAfter {
		u.backoff = firstBackoff
	}
	pause := u.backoff
	u.backoff = min(u.backoff*2, maxBackoff)
	time.AfterFunc(pause, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !u.retired && u.pid == 0 {
			u.restarts++
			s.start(u)
		}
	})
}

// reap collects every child that has ended, ours and orphans alike.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		s.ended(pid, status)
	}
}

func (s *supervisor) ended(pid int, status syscall.WaitStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.units {
		if u.pid == pid {
			fmt.Fprintf(os.Stderr, "%s (pid %d) ended: exit %d, signal %d\n", u.Name, pid, status.ExitStatus(), status.Signal())
			u.pid = 0
			s.restartLater(u)
		}
	}
}

func (s *supervisor) status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Status{}
	for _, u := range s.units {
		all = append(all, Status{Name: u.Name, PID: u.pid, Since: u.since, Restarts: u.restarts})
	}
	slices.SortFunc(all, func(a, b Status) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}
