package components

import (
	_ "embed"
	"strings"

	"storefront.dev/cluster/internal/cgroup"
	"storefront.dev/cluster/internal/layout"
)

//go:embed files/audit-policy.yaml
var auditPolicy string

//go:embed files/containerd.toml
var containerdConfig string

//go:embed files/cni.conflist
var cniConfig string

//go:embed files/kubelet.yaml
var kubeletConfig string

//go:embed files/kube-proxy.yaml
var proxyConfig string

// writeConfigs writes every configuration file and returns, by component, what it depends
// on, so that a change restarts that component.
func writeConfigs(n layout.Node, images Images) (map[string]string, error) {
	fill := strings.NewReplacer(
		"@NODE_DIR@", n.Path(),
		"@PKI@", n.Cluster.Path("pki"),
		"@NODE@", n.Name(),
		"@PAUSE_IMAGE@", images.Pause,
		"@POD_SUBNET@", n.PodSubnet(),
		"@POD_RANGE@", n.Cluster.PodRange(),
		"@DNS_IP@", n.Cluster.DNSServiceIP(),
		"@CGROUP_ROOT@", n.CgroupRoot(),
	)
	kubelet := fill.Replace(kubeletConfig)
	if cgroup.V2() {
		kubelet = strings.Replace(kubelet, "failCgroupV1: false\n", "", 1)
	}
	files := map[string]string{
		n.Cluster.Path("audit-policy.yaml"): auditPolicy,
		n.Path("containerd.toml"):           fill.Replace(containerdConfig),
		n.Path("cni", "10-pods.conflist"):   fill.Replace(cniConfig),
		n.Path("kubelet.yaml"):              kubelet,
		n.Path("kube-proxy.yaml"):           fill.Replace(proxyConfig),
		n.Path("resolv.conf"):               "nameserver " + n.Cluster.DNSServiceIP() + "\n",
	}
	for path, content := range files {
		if err := layout.WriteFile(path, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return map[string]string{
		"kube-apiserver": auditPolicy,
		"containerd":     files[n.Path("containerd.toml")],
		"kubelet":        kubelet,
		"kube-proxy":     files[n.Path("kube-proxy.yaml")],
	}, nil
}
