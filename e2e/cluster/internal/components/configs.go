package components

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

//go:embed files/no-dad
var noDAD string

//go:embed files/kubelet.yaml
var kubeletConfig string

//go:embed files/kube-proxy.yaml
var proxyConfig string

// file is one that a component reads.
type file struct {
	content string
	mode    os.FileMode
}

// writeConfigs writes every configuration file and returns, by component, what it depends
// on, so that a change restarts that component.
func writeConfigs(n layout.Node, images Images) (map[string]string, error) {
	files := configs(n, images, cgroup.V2())
	for path, file := range files {
		if err := layout.WriteFile(path, []byte(file.content), file.mode); err != nil {
			return nil, err
		}
	}
	if err := linkPlugins(n); err != nil {
		return nil, err
	}
	return map[string]string{
		"kube-apiserver": auditPolicy,
		"containerd":     files[n.Path("containerd.toml")].content,
		"kubelet":        files[n.Path("kubelet.yaml")].content,
		"kube-proxy":     files[n.Path("kube-proxy.yaml")].content,
	}, nil
}

// configs are the files by their paths.
func configs(n layout.Node, images Images, cgroupV2 bool) map[string]file {
	var ranges, routes []string
	for family, subnet := range n.PodSubnets() {
		ranges = append(ranges, fmt.Sprintf(`[{ "subnet": "%s" }]`, subnet))
		routes = append(routes, fmt.Sprintf(`{ "dst": "%s" }`, []string{"0.0.0.0/0", "::/0"}[family]))
	}
	dns := n.Cluster.DNSServiceIPs()[0]
	fill := strings.NewReplacer(
		"@NODE_DIR@", n.Path(),
		"@PKI@", n.Cluster.Path("pki"),
		"@NODE@", n.Name(),
		"@PAUSE_IMAGE@", images.Pause,
		"@POD_SUBNETS@", strings.Join(ranges, ", "),
		"@POD_ROUTES@", strings.Join(routes, ", "),
		"@POD_RANGES@", strings.Join(n.Cluster.PodRanges(), ","),
		"@DNS_IP@", dns,
		"@CGROUP_ROOT@", n.CgroupRoot(),
	)
	kubelet, cni := kubeletConfig, cniConfig
	if cgroupV2 {
		kubelet = strings.Replace(kubelet, "failCgroupV1: false\n", "", 1)
	}
	if !n.Cluster.IPv6 {
		cni = strings.Replace(cni, `    { "type": "no-dad" },`+"\n", "", 1)
	}
	text := func(template string) file { return file{fill.Replace(template), 0o644} }
	return map[string]file{
		n.Cluster.Path("audit-policy.yaml"): text(auditPolicy),
		n.Path("containerd.toml"):           text(containerdConfig),
		n.Path("cni", "10-pods.conflist"):   text(cni),
		n.Path("cni-bin", "no-dad"):         {noDAD, 0o755},
		n.Path("kubelet.yaml"):              text(kubelet),
		n.Path("kube-proxy.yaml"):           text(proxyConfig),
		n.Path("resolv.conf"):               text("nameserver @DNS_IP@\n"),
	}
}

// linkPlugins puts Debian's CNI plugins beside ours: containerd looks into one folder.
func linkPlugins(n layout.Node) error {
	for _, plugin := range []string{"loopback", "ptp", "host-local"} {
		err := os.Symlink("/usr/lib/cni/"+plugin, n.Path("cni-bin", plugin))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
