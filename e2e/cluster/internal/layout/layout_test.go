package layout

import (
	"net/netip"
	"os"
	"slices"
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
		c, err := LoadOrCreate(name, 1, true)
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

func TestAClusterKeepsTheFamiliesThatItWasMadeWith(t *testing.T) {
	home(t)
	for name, ipv6 := range map[string]bool{"both": true, "one": false} {
		for _, asked := range []bool{ipv6, !ipv6} {
			c, err := LoadOrCreate(name, 1, asked)
			if err != nil || c.IPv6 != ipv6 {
				t.Fatalf("%s: %+v, %v", name, c, err)
			}
		}
	}
	old := &Cluster{Name: "old"}
	if err := WriteFile(old.Path("cluster.json"), []byte(`{"name": "old", "index": 7, "nodes": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load("old"); err != nil || c.IPv6 || len(c.PodRanges()) != 1 {
		t.Fatalf("a cluster of an older program: %+v, %v", c, err)
	}
}

func TestRangesOfAllClustersAreDisjoint(t *testing.T) {
	var ranges []netip.Prefix
	for index := range MaxClusters {
		c := &Cluster{Name: "x", Index: index, IPv6: true}
		for _, text := range slices.Concat(c.PodRanges(), c.ServiceRanges(), c.HostIPs()) {
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

func TestAddressesLieInTheRangesOfTheirFamilyAndIPv4ComesFirst(t *testing.T) {
	for _, index := range []int{0, 1, MaxClusters - 1} {
		c := &Cluster{Name: "x", Index: index, IPv6: true}
		first, second := c.Node(1), c.Node(99)
		for family := range 2 {
			network := netip.MustParsePrefix(c.HostIPs()[family]).Masked()
			pods := netip.MustParsePrefix(c.PodRanges()[family])
			services := netip.MustParsePrefix(c.ServiceRanges()[family])
			if (family == 1) != services.Addr().Is6() {
				t.Fatalf("family %d has services %s", family, services)
			}
			for _, n := range []Node{first, second} {
				if address := netip.MustParseAddr(n.IPs()[family]); !network.Contains(address) || address.String() != n.IPs()[family] {
					t.Errorf("node address %s, network %s", n.IPs()[family], network)
				}
				subnet := netip.MustParsePrefix(n.PodSubnets()[family])
				if subnet != subnet.Masked() || !pods.Contains(subnet.Addr()) || pods.Bits() > subnet.Bits() {
					t.Errorf("pod subnet %s, range %s", subnet, pods)
				}
			}
			if netip.MustParsePrefix(first.PodSubnets()[family]).Overlaps(netip.MustParsePrefix(second.PodSubnets()[family])) {
				t.Errorf("two nodes share %s", first.PodSubnets()[family])
			}
			if dns := netip.MustParseAddr(c.DNSServiceIPs()[family]); !services.Contains(dns) {
				t.Errorf("DNS %s, services %s", dns, services)
			}
			// More than the API server hands out of one range.
			if services.Addr().Is6() && services.Bits() < 108 {
				t.Errorf("the API server refuses services %s", services)
			}
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
	c, err := LoadOrCreate("one", 1, false)
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
