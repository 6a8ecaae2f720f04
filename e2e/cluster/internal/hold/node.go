// Package hold is a node: network, mount and PID namespaces held by one process, the
// node's init, which keeps the node's components running.
//
// Why a PID namespace: when its first process dies, the kernel kills everything else in
// it (kubelet, containerd, shims, containers), then the mounts and network interfaces of
// the other two namespaces go with their last user. So one SIGKILL takes a whole node
// down, and nothing that crashed before can be left behind.
package hold

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"storefront.dev/cluster/internal/layout"
	"storefront.dev/cluster/internal/process"
)

// Daemon describes the init process of a node.
func Daemon(n layout.Node) process.Daemon {
	return process.Daemon{
		PIDFile: n.Path("init.json"),
		Args:    []string{"node-init", "--name", n.Cluster.Name, "--node", fmt.Sprint(n.Number), "--state", n.Cluster.Path()},
		LogFile: n.Cluster.Log(n.Name() + "-init"),
		Clone:   syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
	}
}

// Private lists the folders with fixed names that Kubernetes and CNI write to. In the node
// they are bound to folders of the node's own, so that clusters do not share them.
// Key: path in the node; value: folder below the node's.
func Private() map[string]string {
	return map[string]string{
		"/var/lib/kubelet":    "kubelet",
		"/var/lib/cni":        "cni-state",
		"/var/log/pods":       "pod-logs",
		"/var/log/containers": "container-logs",
	}
}

// Run is the main function of the init process; it returns only when it failed to start.
func Run(n layout.Node) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("node-init is started by `cluster up`, in namespaces of its own")
	}
	if err := mounts(n); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(n.Name())); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	for path, value := range sysctls(n.Cluster) {
		if err := os.WriteFile("/proc/sys/net/"+path, []byte(value), 0); err != nil {
			return fmt.Errorf("set /proc/sys/net/%s, for the network of the node's pods: %w", path, err)
		}
	}
	s := newSupervisor()
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
	// A machine that goes down asks first, and waits up to 90 s for those that stay. Ending
	// here ends the whole node, as always.
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM)
	go func() {
		<-ending
		fmt.Fprintln(os.Stderr, "asked to end")
		os.Exit(0)
	}()
	go func() {
		for {
			select {
			case <-children:
			case <-time.After(time.Second): // a signal may be merged with another
			}
			s.reap()
		}
	}()
	return serve(n, s)
}

// sysctls are settings of the node's network namespace.
func sysctls(c *layout.Cluster) map[string]string {
	all := map[string]string{"ipv4/ip_forward": "1"}
	if c.IPv6 {
		all["ipv6/conf/all/forwarding"] = "1"
		// The pods' gateway is an address on the node's end of each pair, which would not answer while
		// the kernel looks for another owner.
		all["ipv6/conf/default/accept_dad"] = "0"
	}
	return all
}

// mounts makes a view of the file system that only this node sees.
func mounts(n layout.Node) error {
	// First away from the host's peers, then shared again among the node's own: the
	// kubelet asks for shared propagation, and nothing may travel back to the host.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("leave the host's mounts: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts inside the node: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for inside, own := range Private() {
		source := n.Path(own)
		if err := os.MkdirAll(source, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(source, inside, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s over %s: %w", source, inside, err)
		}
	}
	// A fresh /run per boot of the node, as on a machine: sockets, pids, shims, CNI
	// namespaces and xtables' lock are then the node's own and end with it.
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	return os.MkdirAll("/run/lock", 0o755)
}

func serve(n layout.Node, s *supervisor) error {
	_ = os.Remove(n.Socket())
	if err := os.MkdirAll(filepath.Dir(n.Socket()), 0o755); err != nil {
		return err
	}
	listener, err := net.Listen("unix", n.Socket())
	if err != nil {
		return err
	}
	if err := os.Chmod(n.Socket(), 0o600); err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /components", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s.status())
	})
	routes.HandleFunc("PUT /components", func(w http.ResponseWriter, r *http.Request) {
		var wanted []Component
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&wanted); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.apply(wanted)
		_ = json.NewEncoder(w).Encode(s.status())
	})
	server := &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	return server.Serve(listener)
}
