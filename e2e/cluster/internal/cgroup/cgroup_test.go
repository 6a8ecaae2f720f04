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
