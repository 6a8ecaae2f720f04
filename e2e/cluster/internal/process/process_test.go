package process

import (
	"os/exec"
	"testing"
	"time"
)

func sleeper(t *testing.T) (Record, *exec.Cmd) {
	t.Helper()
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	record, err := Identify(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return record, command
}

func TestARecordedProcessIsKilled(t *testing.T) {
	record, command := sleeper(t)
	go command.Wait()
	if !record.Alive() {
		t.Fatal("it lives, and the record says no")
	}
	if err := record.Kill(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if record.Alive() {
		t.Fatal("it is dead, and the record says no")
	}
}

func TestAStrangerWithTheSamePidIsLeftAlone(t *testing.T) {
	stranger, _ := sleeper(t)
	for name, record := range map[string]Record{
		"started at another time": {PID: stranger.PID, Start: stranger.Start + 1, Boot: stranger.Boot},
		"of another boot":         {PID: stranger.PID, Start: stranger.Start, Boot: "another"},
		"the machine's init":      {PID: 1, Boot: stranger.Boot},
		"none":                    {},
	} {
		if record.Alive() {
			t.Errorf("%s: taken for ours", name)
		}
		if err := record.Kill(time.Second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !stranger.Alive() {
		t.Fatal("the stranger was killed")
	}
}

func TestALostDaemonIsFoundByItsCommandLine(t *testing.T) {
	command := exec.Command("sleep", "61.5")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	daemon := Daemon{PIDFile: t.TempDir() + "/none", Args: []string{"61.5"}}
	for deadline := time.Now().Add(5 * time.Second); ; {
		if record, alive := daemon.Find(); alive {
			if record.PID != command.Process.Pid {
				t.Fatalf("found %d, not %d", record.PID, command.Process.Pid)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("not found")
		}
	}
}
