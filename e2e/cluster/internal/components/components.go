// Package components has each Kubernetes component's flags and files. Everything here is
// a value: Specs returns what a node should run, and the node's init starts it.
package components

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"storefront.dev/cluster/internal/hold"
	"storefront.dev/cluster/internal/layout"
)

// Images are the references that the cluster itself runs.
type Images struct {
	Pause   string
	CoreDNS string
}

// Specs writes the configuration files of the node and returns what it runs. The first
// node runs the control plane too.
func Specs(n layout.Node, images Images) ([]hold.Component, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	files, err := writeConfigs(n, images)
	if err != nil {
		return nil, err
	}
	var all []hold.Component
	if n.Number == 1 {
		all = append(all, controlPlane(n.Cluster, binary)...)
	}
	all = append(all, nodeComponents(n, binary)...)
	build, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	for i := range all {
		sum := sha256.New()
		fmt.Fprint(sum, build.Size(), build.ModTime().UnixNano(), files[all[i].Name])
		all[i].Stamp = fmt.Sprintf("%x", sum.Sum(nil)[:8])
		all[i].Log = n.Cluster.Log(all[i].Name)
	}
	return all, nil
}

// First are the components that the others dial as soon as they start: while the API server
// does not answer, a controller manager exits and a kubelet backs off, which costs seconds.
func First(all []hold.Component) []hold.Component {
	var first []hold.Component
	for _, component := range all {
		if slices.Contains([]string{"etcd", "kube-apiserver", "containerd"}, component.Name) {
			first = append(first, component)
		}
	}
	return first
}

// Binary is the multi-call binary; it lies beside ours.
func Binary() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(own), "kubernetes")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the Kubernetes binary is missing (build it with e2e/build-tools.sh): %w", err)
	}
	return path, nil
}

func controlPlane(c *layout.Cluster, binary string) []hold.Component {
	return []hold.Component{
		{Name: "etcd", Argv: etcd(c, binary)},
		{Name: "kube-apiserver", Argv: apiserver(c, binary)},
		{Name: "kube-controller-manager", Argv: controllerManager(c, binary)},
		{Name: "kube-scheduler", Argv: scheduler(c, binary)},
	}
}

func etcd(c *layout.Cluster, binary string) []string {
	return []string{binary, "etcd",
		"--name=" + c.Name,
		"--data-dir=" + c.Path("etcd"),
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=" + c.Name + "=http://127.0.0.1:2380",
		"--log-level=warn",
		// Only because this cluster is for trying things out: a power cut may cost its state.
		"--unsafe-no-fsync",
	}
}

func apiserver(c *layout.Cluster, binary string) []string {
	pki := func(file string) string { return c.Path("pki", file) }
	return []string{binary, "kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379",
		"--advertise-address=" + c.Node(1).IP(), "--secure-port=6443",
		"--service-cluster-ip-range=" + strings.Join(c.ServiceRanges(), ","),
		"--client-ca-file=" + pki("ca.crt"),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("service-account.pub"),
		"--service-account-signing-key-file=" + pki("service-account.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--kubelet-client-certificate=" + pki("kubelet-client.crt"), "--kubelet-client-key=" + pki("kubelet-client.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + pki("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + pki("front-proxy.crt"), "--proxy-client-key-file=" + pki("front-proxy.key"),
		// Tests count writes in this log; see audit-policy.yaml.
		"--audit-policy-file=" + c.Path("audit-policy.yaml"), "--audit-log-path=" + c.Path("logs", "audit.log"),
		"--audit-log-maxsize=100", "--audit-log-maxbackup=3",
		"--profiling=false",
	}
}

func controllerManager(c *layout.Cluster, binary string) []string {
	kubeconfig := c.Path("pki", "controller-manager.kubeconfig")
	return []string{binary, "kube-controller-manager",
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--service-account-private-key-file=" + c.Path("pki", "service-account.key"),
		"--root-ca-file=" + c.Path("pki", "ca.crt"),
		"--cluster-signing-cert-file=" + c.Path("pki", "ca.crt"), "--cluster-signing-key-file=" + c.Path("pki", "ca.key"),
		"--use-service-account-credentials", "--allocate-node-cidrs=false",
		"--flex-volume-plugin-dir=" + c.Path("volume-plugins"), // otherwise it makes one below the host's /usr/libexec
		"--leader-elect=false",                                 // there is one; a lease would only delay its start
		"--profiling=false",
	}
}

func scheduler(c *layout.Cluster, binary string) []string {
	kubeconfig := c.Path("pki", "scheduler.kubeconfig")
	return []string{binary, "kube-scheduler",
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--leader-elect=false", "--profiling=false",
	}
}

func nodeComponents(n layout.Node, binary string) []hold.Component {
	c := n.Cluster
	return []hold.Component{
		{Name: "containerd", Argv: []string{"/usr/bin/containerd", "--config", n.Path("containerd.toml")}},
		{Name: "kubelet", Argv: []string{binary, "kubelet",
			"--config=" + n.Path("kubelet.yaml"), "--kubeconfig=" + c.Path("pki", n.Name()+".kubeconfig"),
			"--hostname-override=" + n.Name(), "--node-ip=" + strings.Join(n.IPs(), ","),
		}},
		{Name: "kube-proxy", Argv: []string{binary, "kube-proxy", "--config=" + n.Path("kube-proxy.yaml")}},
	}
}
