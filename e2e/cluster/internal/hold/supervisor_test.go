package hold

import (
	"syscall"
	"testing"
	"time"
)

// run drives a supervisor as the node's init does.
func run(t *testing.T) *supervisor {
	t.Helper()
	s := newSupervisor()
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				s.reap()
			}
		}
	}()
	t.Cleanup(func() {
		s.apply(nil)
		time.Sleep(20 * time.Millisecond)
		close(stop)
	})
	return s
}

func sleeper(t *testing.T, name string) Component {
	return Component{Name: name, Argv: []string{"/bin/sleep", "60"}, Log: t.TempDir() + "/log"}
}

func pids(s *supervisor) map[string]int {
	all := map[string]int{}
	for _, status := range s.status() {
		all[status.Name] = status.PID
	}
	return all
}

func until(t *testing.T, what string, probe func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !probe(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestAKilledComponentComesBack(t *testing.T) {
	s := run(t)
	s.apply([]Component{sleeper(t, "a")})
	first := pids(s)["a"]
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "it did not come back", func() bool { now := pids(s)["a"]; return now != 0 && now != first })
	if restarts := s.status()[0].Restarts; restarts != 1 {
		t.Fatalf("%d restarts", restarts)
	}
}

func TestTheSameListChangesNothingAndAChangedOneOnlyWhatChanged(t *testing.T) {
	s := run(t)
	a, b := sleeper(t, "a"), sleeper(t, "b")
	s.apply([]Component{a, b})
	before := pids(s)
	s.apply([]Component{a, b})
	if now := pids(s); now["a"] != before["a"] || now["b"] != before["b"] {
		t.Fatalf("%v became %v", before, now)
	}
	b.Stamp = "another build"
	s.apply([]Component{a, b})
	if now := pids(s); now["a"] != before["a"] || now["b"] == before["b"] || now["b"] == 0 {
		t.Fatalf("%v became %v", before, now)
	}
}

func TestADroppedComponentEndsAndStaysAway(t *testing.T) {
	s := run(t)
	s.apply([]Component{sleeper(t, "a")})
	pid := pids(s)["a"]
	s.apply(nil)
	until(t, "it lives on", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	time.Sleep(2 * firstBackoff)
	if len(s.status()) != 0 {
		t.Fatalf("%v", s.status())
	}
}

func TestAComponentThatCannotStartIsTriedAgainEverMoreSlowly(t *testing.T) {
	s := run(t)
	s.apply([]Component{{Name: "a", Argv: []string{"/does/not/exist"}, Log: t.TempDir() + "/log"}})
	until(t, "no second try", func() bool { return s.status()[0].Restarts >= 2 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if backoff := s.units["a"].backoff; backoff <= firstBackoff || backoff > maxBackoff {
		t.Fatalf("backoff is %s", backoff)
	}
}
