package cgroup

import (
	"os"
	"testing"
)

func TestATreeIsRemovedFromTheLeavesUp(t *testing.T) {
	top := t.TempDir() + "/storefront-test"
	if err := os.MkdirAll(top+"/node-1/kubepods/pod1", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(top); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(top); !os.IsNotExist(err) {
		t.Fatal("it is still there")
	}
	if err := removeTree(top); err != nil {
		t.Fatalf("a second time: %v", err)
	}
}

func TestOnlyAGroupWithATypeAndProcessesIsCrowded(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"the machine's own root":   {"cgroup.procs": "1\n2\n"},
		"a container, moved away":  {"cgroup.procs": "", "cgroup.type": "domain\n"},
		"a container's init in it": {"cgroup.procs": "1\n", "cgroup.type": "domain\n"},
	} {
		root := t.TempDir()
		for file, content := range files {
			if err := os.WriteFile(root+"/"+file, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		is, err := crowded(root)
		if err != nil || is != (name == "a container's init in it") {
			t.Errorf("%s: %v %v", name, is, err)
		}
	}
}
