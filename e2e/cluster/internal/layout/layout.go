// Package layout decides where everything of one cluster lies: folders, addresses,
// interface names, cgroups. All of it follows from the cluster's name and its index,
// so that several clusters run on one machine without sharing anything.
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// MaxClusters bounds the index: the address ranges below have room for this many.
const MaxClusters = 32

// Cluster is what `up` remembers of one cluster in cluster.json.
type Cluster struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	Nodes int    `json:"nodes"`
	IPv6  bool   `json:"ipv6"` // beside IPv4; decided once, when the cluster is made
}

var nameForm = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$`)

// StateRoot is the folder that holds one folder per cluster.
func StateRoot() string { return xdg("XDG_STATE_HOME", ".local/state") }

// CacheRoot is the folder for what can be built again: binaries and image archives.
func CacheRoot() string { return xdg("XDG_CACHE_HOME", ".cache") }

func xdg(variable, fallback string) string {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "storefront")
	}
	home, err := os.UserHomeDir()
	if err != nil || home == "" {
		home = "/root"
	}
	return filepath.Join(home, fallback, "storefront")
}

// CheckName refuses names that could not stand in a path, a cgroup and a certificate alike.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("cluster name %q: use 1 to 30 lower-case letters, digits and dashes, beginning with a letter", name)
	}
	return nil
}

// Dir is the cluster's folder, whether or not it exists.
func Dir(name string) string { return filepath.Join(StateRoot(), name) }

// Load reads a cluster that `up` made; fs.ErrNotExist when there is none.
func Load(name string) (*Cluster, error) {
	raw, err := os.ReadFile(filepath.Join(Dir(name), "cluster.json"))
	if err != nil {
		return nil, err
	}
	var c Cluster
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("read %s/cluster.json: %w", Dir(name), err)
	}
	if c.Name != name || c.Index < 0 || c.Index >= MaxClusters {
		return nil, fmt.Errorf("%s/cluster.json does not describe cluster %q", Dir(name), name)
	}
	return &c, nil
}

// Save writes cluster.json so that a crash leaves either the old or the new one.
func (c *Cluster) Save() error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(c.Path("cluster.json"), append(raw, '\n'), 0o600)
}

// WriteFile replaces a file in one step, also when the power goes: without the sync the new
// name may reach the disk before the content, and the file is then empty after the reboot.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path+unfinished, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(path+unfinished, path)
}

// unfinished ends the name of a file that is being written.
const unfinished = ".next"

// Names lists the clusters that have a state folder.
func Names() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(StateRoot(), "*", "cluster.json"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range found {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	slices.Sort(names)
	return names, nil
}

// LoadOrCreate returns the named cluster; a new one gets the lowest index that neither
// another cluster of ours nor a foreign interface of the machine occupies, and IPv6 when asked.
func LoadOrCreate(name string, nodes int, ipv6 bool) (*Cluster, error) {
	unlock, err := Lock("index")
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := Load(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	taken, err := takenIndexes()
	if err != nil {
		return nil, err
	}
	for index := range MaxClusters {
		c := &Cluster{Name: name, Index: index, Nodes: nodes, IPv6: ipv6}
		if taken[index] || interfaceExists(c.Bridge()) {
			continue
		}
		return c, c.Save()
	}
	return nil, fmt.Errorf("all %d cluster indexes are taken; see `cluster list`, then `cluster down --name ...`", MaxClusters)
}

func takenIndexes() (map[int]bool, error) {
	names, err := Names()
	if err != nil {
		return nil, err
	}
	taken := map[int]bool{}
	for _, name := range names {
		other, err := Load(name)
		if err != nil {
			return nil, err
		}
		taken[other.Index] = true
	}
	return taken, nil
}

func interfaceExists(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name)
	return err == nil
}

// Lock takes a lock file under the state root; the kernel releases it when the process ends. The
// file is removed with the lock, so whoever waited for it checks that the name still means
// the file that was locked.
func Lock(name string) (unlock func(), err error) {
	path := filepath.Join(StateRoot(), "."+name+".lock")
	for {
		if err := os.MkdirAll(StateRoot(), 0o755); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		held, heldErr := file.Stat()
		named, namedErr := os.Stat(path)
		if heldErr == nil && namedErr == nil && os.SameFile(held, named) {
			return func() { os.Remove(path); file.Close() }, nil
		}
		file.Close()
	}
}

// Path joins parts below the cluster's folder.
func (c *Cluster) Path(parts ...string) string {
	return filepath.Join(append([]string{Dir(c.Name)}, parts...)...)
}

// Log is the log file of a component.
func (c *Cluster) Log(component string) string { return c.Path("logs", component+".log") }

// Kubeconfig is the administrator's kubeconfig; it carries its certificates inside.
func (c *Cluster) Kubeconfig() string { return c.Path("kubeconfig") }

// Alias marks the bridge as this cluster's, for a `down` that finds no state any more.
func (c *Cluster) Alias() string { return "storefront cluster " + c.Name }

// Lost rebuilds what `down` needs of a cluster whose cluster.json is gone, from the alias of
// its bridge; nil when there is no such bridge.
func Lost(name string) *Cluster {
	for index := range MaxClusters {
		c := &Cluster{Name: name, Index: index, Nodes: 1}
		alias, err := os.ReadFile("/sys/class/net/" + c.Bridge() + "/ifalias")
		if err == nil && strings.TrimSpace(string(alias)) == c.Alias() {
			return c
		}
	}
	return nil
}

// Bridge is the host's end of the cluster network.
func (c *Cluster) Bridge() string { return fmt.Sprintf("sf%d", c.Index) }

// APIServer is the URL of the API server, from the host, the node and the pods alike.
func (c *Cluster) APIServer() string { return "https://" + c.Node(1).IP() + ":6443" }

// CgroupRoot is the cluster's cgroup below the controllers' mounts.
func (c *Cluster) CgroupRoot() string { return "storefront-" + c.Name }

// Node is one node of the cluster, counted from 1.
type Node struct {
	Cluster *Cluster
	Number  int
}

// Node returns the node with this number.
func (c *Cluster) Node(number int) Node { return Node{Cluster: c, Number: number} }

// Name is the node's name in Kubernetes.
func (n Node) Name() string { return fmt.Sprintf("node-%d", n.Number) }

// Link is the host's end of the node's veth pair.
func (n Node) Link() string { return fmt.Sprintf("%sn%d", n.Cluster.Bridge(), n.Number) }

// Path joins parts below the node's folder.
func (n Node) Path(parts ...string) string {
	return n.Cluster.Path(append([]string{n.Name()}, parts...)...)
}

// Socket is where the node's init answers.
func (n Node) Socket() string { return n.Path("init.sock") }

// CgroupRoot is the cgroup that holds the node's pods. Each kubelet needs one of its
// own: two kubelets that share a root delete each other's pods.
func (n Node) CgroupRoot() string { return "/" + n.Cluster.CgroupRoot() + "/" + n.Name() }

// String is the node's name in messages.
func (n Node) String() string { return n.Cluster.Name + "/" + n.Name() }

// Under reports whether path lies below one of our state folders; a guard before removal.
func Under(path, root string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, "../")
}
