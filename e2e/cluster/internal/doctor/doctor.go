// Package doctor checks what the machine must offer before anything is started; the error names
// the remedy for each requirement that is not met.
package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"storefront.dev/cluster/internal/cgroup"
	"storefront.dev/cluster/internal/layout"
)

const (
	needMemory   = 3 << 30
	needDisk     = 5 << 30
	needInotify  = 64
	maxSocketLen = 107 // what fits into a unix socket's address
)

// Check returns every unmet requirement at once, joined into one error.
func Check(name string) error {
	checks := []func() error{
		platform, root, packages, plugins, filesystems, interfaces, controllers, memory, disk, inotify,
		func() error { return folders(name) },
	}
	var problems []error
	for _, check := range checks {
		if err := check(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func platform() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("this needs Linux on amd64, and this is %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	return nil
}

func root() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root, for network namespaces, mounts and cgroups: run it with sudo -E")
	}
	return nil
}

// programs maps what we call to the Debian package that has it.
var programs = map[string]string{
	"containerd": "containerd", "ctr": "containerd", "containerd-shim-runc-v2": "containerd",
	"runc": "runc", "ip": "iproute2", "nft": "nftables", "conntrack": "conntrack",
	"nsenter": "util-linux", "mount": "mount",
}

func packages() error {
	var missing []string
	for program, debian := range programs {
		if _, err := exec.LookPath(program); err != nil && !slices.Contains(missing, debian) {
			missing = append(missing, debian)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("programs are missing: apt-get install --no-install-recommends %s", strings.Join(missing, " "))
}

func plugins() error {
	for _, plugin := range []string{"ptp", "host-local", "loopback"} {
		if _, err := os.Stat(filepath.Join("/usr/lib/cni", plugin)); err != nil {
			return errors.New("the CNI plugins are missing: apt-get install --no-install-recommends containernetworking-plugins")
		}
	}
	return nil
}

func filesystems() error {
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if strings.Contains(string(known), "\toverlay\n") {
		return nil
	}
	if exec.Command("modprobe", "overlay").Run() != nil {
		return errors.New("the kernel has no overlay file system: load the module (modprobe overlay)")
	}
	return nil
}

// interfaces makes a bridge and a veth pair for a moment: the one sure way to know. They
// are made in a network namespace that ends with the program that made them, so that a
// crash of ours leaves none.
func interfaces() error {
	if os.Geteuid() != 0 {
		return nil // reported by root()
	}
	for _, kind := range []string{"bridge", "veth"} {
		probe := exec.Command("ip", "link", "add", "probe", "type", kind)
		probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if output, err := probe.CombinedOutput(); err != nil {
			return fmt.Errorf("the kernel makes no %s interfaces (%s): load the module (modprobe %s)",
				kind, strings.TrimSpace(string(output)), kind)
		}
	}
	return nil
}

func controllers() error {
	offered, err := cgroup.Controllers()
	if err != nil {
		return fmt.Errorf("cgroups are not mounted below /sys/fs/cgroup: %w", err)
	}
	needed := []string{"cpu", "cpuset", "memory", "pids"}
	if !cgroup.V2() {
		needed = append(needed, "cpuacct", "devices", "freezer", "blkio")
	}
	for _, controller := range needed {
		if !slices.Contains(offered, controller) {
			return fmt.Errorf("the cgroup controller %q is missing (there are: %s)", controller, strings.Join(offered, " "))
		}
	}
	crowded, err := cgroup.Crowded()
	if crowded {
		return errors.New("processes sit in the root of /sys/fs/cgroup, so cgroup v2 hands no controller down: " +
			"start this container with --cgroupns=host --volume /sys/fs/cgroup:/sys/fs/cgroup:rw, or move them: " +
			"mkdir -p /sys/fs/cgroup/init; for p in $(cat /sys/fs/cgroup/cgroup.procs); do echo $p > /sys/fs/cgroup/init/cgroup.procs; done")
	}
	return err
}

func memory() error {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return err
	}
	if total := uint64(info.Totalram) * uint64(info.Unit); total < needMemory {
		return fmt.Errorf("the machine has %d MiB of memory; a cluster with one shop needs %d", total>>20, needMemory>>20)
	}
	return nil
}

func disk() error {
	dir := layout.StateRoot()
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < needDisk {
		return fmt.Errorf("%s has %d MiB free; images and volumes need %d (set XDG_STATE_HOME to a folder elsewhere)", dir, free>>20, needDisk>>20)
	}
	return nil
}

func inotify() error {
	raw, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		return nil // a kernel without the limit has no shortage either
	}
	var limit int
	if _, err := fmt.Sscan(string(raw), &limit); err == nil && limit < needInotify {
		return fmt.Errorf("fs.inotify.max_user_instances is %d, too few for a kubelet: sysctl -w fs.inotify.max_user_instances=512", limit)
	}
	return nil
}

// folders checks that the state may lie where it would: the node covers /run with its own,
// and the path of a socket has a limit.
func folders(name string) error {
	socket := (&layout.Cluster{Name: name}).Node(1).Socket()
	if len(socket) > maxSocketLen {
		return fmt.Errorf("%s is too long for a socket (%d characters, at most %d): set XDG_STATE_HOME to a shorter folder", socket, len(socket), maxSocketLen)
	}
	for _, dir := range []string{layout.StateRoot(), layout.CacheRoot()} {
		for _, hidden := range []string{"/run", "/var/run", "/var/lib/kubelet", "/proc", "/sys"} {
			if layout.Under(dir, hidden) {
				return fmt.Errorf("%s lies below %s, which a node hides: choose another XDG_STATE_HOME or XDG_CACHE_HOME", dir, hidden)
			}
		}
	}
	return nil
}
