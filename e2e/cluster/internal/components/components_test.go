package components

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"

	"storefront.dev/cluster/internal/layout"
)

var both = (&layout.Cluster{Name: "both", Index: 3, Nodes: 1, IPv6: true}).Node(1)
var one = (&layout.Cluster{Name: "one", Index: 3, Nodes: 1}).Node(1)

// setting is the value of a component's flag.
func setting(t *testing.T, n layout.Node, component, flag string) string {
	t.Helper()
	for _, c := range slices.Concat(controlPlane(n.Cluster, "kubernetes"), nodeComponents(n, "kubernetes")) {
		for _, argument := range c.Argv {
			if value, found := strings.CutPrefix(argument, flag+"="); found && c.Name == component {
				return value
			}
		}
	}
	t.Fatalf("%s has no %s", component, flag)
	return ""
}

func TestControlPlaneAndKubeletAreGivenBothFamiliesAndIPv4First(t *testing.T) {
	for _, o := range []struct{ component, flag, both, one string }{
		{"kube-apiserver", "--service-cluster-ip-range", "10.153.0.0/16,fd5a:89c4:e117:203::/112", "10.153.0.0/16"},
		{"kubelet", "--node-ip", "10.89.3.11,fd5a:89c4:e117:103::b", "10.89.3.11"},
		{"kube-apiserver", "--advertise-address", "10.89.3.11", "10.89.3.11"},
	} {
		if got := setting(t, both, o.component, o.flag); got != o.both {
			t.Errorf("%s %s=%s, want %s", o.component, o.flag, got, o.both)
		}
		if got := setting(t, one, o.component, o.flag); got != o.one {
			t.Errorf("without IPv6: %s %s=%s, want %s", o.component, o.flag, got, o.one)
		}
	}
}

func TestPodsGetAnAddressAndARouteOfEachFamilyWithoutWaitingForIt(t *testing.T) {
	type plugin struct {
		Type string
		IPAM struct {
			Ranges [][]struct{ Subnet string }
			Routes []struct{ Dst string }
		}
	}
	chain := func(n layout.Node) (plugins []plugin) {
		var config struct{ Plugins []plugin }
		text := configs(n, Images{}, false)[n.Path("cni", "10-pods.conflist")].content
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		return config.Plugins
	}
	dual := chain(both)
	if len(dual) != 2 || dual[0].Type != "no-dad" || dual[1].Type != "ptp" {
		t.Fatalf("plugins %+v", dual)
	}
	ipam := dual[1].IPAM
	if len(ipam.Ranges) != 2 || ipam.Ranges[0][0].Subnet != "10.203.1.0/24" || ipam.Ranges[1][0].Subnet != "fd5a:89c4:e117:8301::/64" {
		t.Errorf("ranges %+v", ipam.Ranges)
	}
	if len(ipam.Routes) != 2 || ipam.Routes[0].Dst != "0.0.0.0/0" || ipam.Routes[1].Dst != "::/0" {
		t.Errorf("routes %+v", ipam.Routes)
	}
	single := chain(one)
	if len(single) != 1 || len(single[0].IPAM.Ranges) != 1 || len(single[0].IPAM.Routes) != 1 {
		t.Errorf("without IPv6: %+v", single)
	}
}

func TestConfigurationFilesAreFilledIn(t *testing.T) {
	for _, n := range []layout.Node{both, one} {
		for path, file := range configs(n, Images{Pause: "pause", CoreDNS: "coredns"}, true) {
			if strings.Contains(file.content, "@") {
				t.Errorf("%s:\n%s", path, file.content)
			}
		}
	}
	var proxy struct{ ClusterCIDR string }
	if err := yaml.Unmarshal([]byte(configs(both, Images{}, false)[both.Path("kube-proxy.yaml")].content), &proxy); err != nil {
		t.Fatal(err)
	}
	if proxy.ClusterCIDR != "10.203.0.0/16,fd5a:89c4:e117:8300::/56" {
		t.Errorf("kube-proxy takes %s for pods", proxy.ClusterCIDR)
	}
}
