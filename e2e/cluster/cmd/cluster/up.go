package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"storefront.dev/cluster/internal/addons"
	"storefront.dev/cluster/internal/cgroup"
	"storefront.dev/cluster/internal/components"
	"storefront.dev/cluster/internal/doctor"
	"storefront.dev/cluster/internal/hold"
	"storefront.dev/cluster/internal/layout"
	"storefront.dev/cluster/internal/network"
	"storefront.dev/cluster/internal/pki"
	"storefront.dev/cluster/internal/process"
)

// bring is one run of `up`: each method is a step that makes what is missing.
type bring struct {
	options
	cluster *layout.Cluster
	node    layout.Node
	images  components.Images
	specs   []hold.Component
}

func up(o options) error {
	if o.nodes != 1 {
		return fmt.Errorf("--nodes %d: only one node can be booted yet", o.nodes)
	}
	unlock, err := layout.Lock("cluster-" + o.name)
	if err != nil {
		return err
	}
	defer unlock()
	b := &bring{options: o}
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"requirements", b.requirements},
		{"folders, certificates", b.prepare},
		{"node", b.boot},
		{"API server", b.awaitAPI},
		{"images of the cluster itself", b.loadImages},
		{"controllers, kubelet, proxy", b.bootRest},
		{"volumes and ports", b.daemons},
		{"DNS and storage class", b.addons},
		{"everything ready", b.awaitReady},
	} {
		began := time.Now()
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Printf("  %-46s %6.1f s\n", step.name, time.Since(began).Seconds())
	}
	return nil
}

// requirements are checked only when the node has to be started.
func (b *bring) requirements() error {
	if c, err := layout.Load(b.name); err == nil {
		if _, alive := hold.Daemon(c.Node(1)).Find(); alive {
			return nil
		}
	}
	return doctor.Check(b.name)
}

func (b *bring) prepare() error {
	images, err := clusterImages()
	if err != nil {
		return err
	}
	lack := network.LackOfIPv6()
	c, err := layout.LoadOrCreate(b.name, b.nodes, lack == nil)
	if err != nil {
		return err
	}
	line, err := network.Families(c, lack)
	if err != nil {
		return err
	}
	if line != "" {
		fmt.Printf("  %s\n", line)
	}
	b.cluster, b.node, b.images = c, c.Node(1), images
	if err := layout.MakeMountPoints(slices.Collect(maps.Keys(hold.Private()))); err != nil {
		return err
	}
	for _, dir := range []string{"etcd", "logs", "volumes"} {
		if err := os.MkdirAll(c.Path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(c.Path("etcd"), 0o700); err != nil {
		return err
	}
	return pki.Ensure(c)
}

// boot starts the node's init if it is dead, joins it to the host, and lets it start what
// the other components wait for.
func (b *bring) boot() error {
	daemon := hold.Daemon(b.node)
	init, alive := answering(daemon, b.node)
	if !alive {
		// A reboot would have cleared them. The kubelet spends 3 s on each dead container's
		// group that it finds, before it starts anything.
		if err := cgroup.Remove(b.node.CgroupRoot()); err != nil {
			return err
		}
	}
	err := cgroup.Make(b.node.CgroupRoot())
	if err != nil {
		return err
	}
	if !alive {
		if err := network.Forget(b.node); err != nil { // the dead namespace's end
			return err
		}
		if init, err = daemon.Start(); err != nil {
			return err
		}
	}
	if err := hold.Await(b.node, 10*time.Second); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(daemon.LogFile))
	}
	if err := network.Up(b.node, init.PID); err != nil {
		return err
	}
	if b.specs, err = components.Specs(b.node, b.images); err != nil {
		return err
	}
	if running, err := hold.Ask(b.node); err != nil || len(running) > 0 {
		return err
	}
	_, err = hold.Apply(b.node, components.First(b.specs))
	return err
}

// answering reports whether the node's init lives and answers. One that was just killed is
// still listed while the kernel ends what it held; one that hangs is ended here.
func answering(daemon process.Daemon, n layout.Node) (process.Record, bool) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		init, alive := daemon.Find()
		if !alive {
			return init, false
		}
		if _, err := hold.Ask(n); err == nil {
			return init, true
		}
		if time.Now().After(deadline) {
			return init, init.Kill(30*time.Second) != nil
		}
	}
}

// bootRest hands init the whole list; it starts what is missing and restarts what changed.
func (b *bring) bootRest() error {
	_, err := hold.Apply(b.node, b.specs)
	return err
}

func (b *bring) awaitAPI() error {
	client, err := connect(b.cluster)
	if err != nil {
		return err
	}
	return await(90*time.Second, "see "+b.cluster.Log("kube-apiserver"), func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (b *bring) loadImages() error {
	return loadReferences(b.cluster, []string{b.images.Pause, b.images.CoreDNS})
}

// daemons serve the cluster from the host: volumes need the host's folders, ports the
// host's loopback. One that runs an older build of the program is replaced.
func (b *bring) daemons() error {
	for _, daemon := range hostDaemons(b.cluster) {
		if record, alive := daemon.Find(); alive && replaced(record) {
			if err := record.Kill(5 * time.Second); err != nil {
				return err
			}
		}
		if _, _, err := daemon.Ensure(); err != nil {
			return err
		}
	}
	return nil
}

func hostDaemons(c *layout.Cluster) []process.Daemon {
	var all []process.Daemon
	for _, name := range []string{"provision", "forward"} {
		all = append(all, process.Daemon{
			PIDFile: c.Path(name + ".json"),
			Args:    []string{name, "--name", c.Name, "--state", c.Path()},
			LogFile: c.Log(name),
		})
	}
	return all
}

// replaced reports whether the program file that the process runs is no longer on disk.
func replaced(r process.Record) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", r.PID))
	return err == nil && strings.HasSuffix(program, " (deleted)")
}

func (b *bring) addons() error {
	return kubectl(b.cluster, addons.Manifests(b.cluster, b.images),
		"apply", "--server-side", "--force-conflicts", "--field-manager=storefront-cluster", "-f", "-")
}

func (b *bring) awaitReady() error {
	client, err := connect(b.cluster)
	if err != nil {
		return err
	}
	hint := fmt.Sprintf("see the logs in %s and `kubectl get pods -A`", b.cluster.Path("logs"))
	return await(120*time.Second, hint, func(ctx context.Context) error {
		if problems := unready(ctx, client, b.node); len(problems) > 0 {
			return errors.New(strings.Join(problems, "; "))
		}
		return nil
	})
}

// await polls until probe succeeds; the error is that of the last probe.
func await(patience time.Duration, hint string, probe func(context.Context) error) error {
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := probe(ctx)
		cancel()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %w; %s", patience, err, hint)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// tail is the end of a log file, for an error message.
func tail(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return "  | " + strings.Join(lines[max(0, len(lines)-10):], "\n  | ")
}
