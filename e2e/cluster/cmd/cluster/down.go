package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"storefront.dev/cluster/internal/cgroup"
	"storefront.dev/cluster/internal/hold"
	"storefront.dev/cluster/internal/layout"
	"storefront.dev/cluster/internal/network"
)

// down ends the cluster. It starts from what is found, not from what should be there, so
// it works after any crash, after a reboot, twice, and for a cluster that never was.
func down(o options) error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: run it with sudo -E")
	}
	unlock, err := layout.Lock("cluster-" + o.name)
	if err != nil {
		return err
	}
	defer func() {
		unlock()
		_ = os.Remove(layout.StateRoot()) // only when this was the last cluster
	}()
	c, err := layout.Load(o.name)
	if err != nil {
		if c = layout.Lost(o.name); c == nil {
			c = &layout.Cluster{Name: o.name, Index: -1, Nodes: 1}
		}
	}
	for _, daemon := range hostDaemons(c) {
		if err := daemon.Stop(5 * time.Second); err != nil {
			return err
		}
	}
	for number := 1; number <= max(c.Nodes, 1); number++ {
		// With the node's init the kernel ends everything in its namespaces.
		if err := hold.Daemon(c.Node(number)).Stop(30 * time.Second); err != nil {
			return err
		}
	}
	if c.Index >= 0 {
		if err := network.Down(c); err != nil {
			return err
		}
	}
	if err := cgroup.Remove(c.CgroupRoot()); err != nil {
		return err
	}
	return removeFiles(c)
}

// removeFiles takes the state folder away. cluster.json goes last: until then a second
// `down` knows what to do.
func removeFiles(c *layout.Cluster) error {
	if !layout.Under(c.Path(), layout.StateRoot()) {
		return fmt.Errorf("%s is not below %s; left alone", c.Path(), layout.StateRoot())
	}
	entries, err := os.ReadDir(c.Path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == "cluster.json" {
			continue
		}
		if err := os.RemoveAll(c.Path(entry.Name())); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(c.Path()); err != nil {
		return err
	}
	return layout.RemoveMountPoints()
}
