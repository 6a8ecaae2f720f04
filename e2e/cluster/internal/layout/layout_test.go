package layout

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func home(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
}

func TestTwoClustersGetDifferentIndexesAndAFreedOneIsUsedAgain(t *testing.T) {
	home(t)
	create := func(name string) *Cluster {
		c, err := LoadOrCreate(name, 1)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := create("one"), create("two")
	if first.Index == second.Index {
		t.Fatalf("both have index %d", first.Index)
	}
	if again := create("one"); again.Index != first.Index {
		t.Fatalf("index moved from %d to %d", first.Index, again.Index)
	}
	if err := os.RemoveAll(first.Path()); err != nil {
		t.Fatal(err)
	}
	if third := create("three"); third.Index != first.Index {
		t.Fatalf("index %d was free, got %d", first.Index, third.Index)
	}
}

func TestRangesOfAllClustersAreDisjoint(t *testing.T) {
	var ranges []netip.Prefix
	for index := range MaxClusters {
		c := &Cluster{Name: "x", Index: index}
		for _, text := range []string{c.PodRange(), c.ServiceRange(), c.HostIP() + "/24"} {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range ranges {
				if prefix.Overlaps(other) {
					t.Fatalf("%s overlaps %s", prefix, other)
				}
			}
			ranges = append(ranges, prefix)
		}
		if link := c.Node(99).Link(); len(link) > 15 {
			t.Fatalf("%s is too long for an interface", link)
		}
	}
}

func TestNamesThatCouldLeaveTheStateFolderAreRefused(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "../x", "A", "1a", "a-", strings.Repeat("a", 31)} {
		if CheckName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	for _, name := range []string{"dev", "test-1a2b3c4d", "a"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
}

func TestUnderIsStrict(t *testing.T) {
	for path, want := range map[string]bool{"/a/b": true, "/a": false, "/ab": false, "/a/../b": false, "/": false} {
		if Under(path, "/a") != want {
			t.Errorf("Under(%q, /a) is not %v", path, want)
		}
	}
}

func TestALockIsHeldByOneAndItsFileGoesWithIt(t *testing.T) {
	home(t)
	unlock, err := Lock("x")
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan func())
	go func() {
		unlock, err := Lock("x")
		if err != nil {
			t.Error(err)
		}
		second <- unlock
	}()
	select {
	case <-second:
		t.Fatal("two hold the lock")
	case <-time.After(100 * time.Millisecond):
	}
	unlock()
	(<-second)()
	entries, err := os.ReadDir(StateRoot())
	if err != nil || len(entries) > 0 {
		t.Fatalf("left behind: %v %v", entries, err)
	}
}

func TestMountPointsAreRemovedWithTheLastClusterAndOnlyIfMade(t *testing.T) {
	home(t)
	existing := t.TempDir()
	made := existing + "/deep/er"
	if err := MakeMountPoints([]string{existing, made}); err != nil {
		t.Fatal(err)
	}
	c, err := LoadOrCreate("one", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveMountPoints(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(made); err != nil {
		t.Fatal("removed although a cluster is left")
	}
	if err := os.RemoveAll(c.Path()); err != nil {
		t.Fatal(err)
	}
	if err := RemoveMountPoints(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(existing + "/deep"); !os.IsNotExist(err) {
		t.Fatal("a made folder stayed")
	}
	if _, err := os.Stat(existing); err != nil {
		t.Fatal("a stranger's folder went")
	}
}

func TestWhatACrashLeftHalfWrittenGoesWithTheLastCluster(t *testing.T) {
	home(t)
	if err := MakeMountPoints([]string{t.TempDir() + "/made"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mountPointsFile()+unfinished, []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveMountPoints(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(StateRoot())
	if err != nil || len(entries) > 0 {
		t.Fatalf("left behind: %v %v", entries, err)
	}
}

func TestAFileIsReplacedWhole(t *testing.T) {
	path := t.TempDir() + "/deep/file"
	for _, content := range []string{"a longer first content", "second"} {
		if err := WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if raw, err := os.ReadFile(path); err != nil || string(raw) != content {
			t.Fatalf("%q, %v", raw, err)
		}
	}
	if _, err := os.Stat(path + unfinished); !os.IsNotExist(err) {
		t.Fatal("the unfinished file stayed")
	}
}
