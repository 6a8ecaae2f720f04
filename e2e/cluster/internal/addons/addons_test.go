package addons

import (
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"storefront.dev/cluster/internal/components"
	"storefront.dev/cluster/internal/layout"
)

func TestDNSAnswersAtOneAddressOfEachFamily(t *testing.T) {
	for _, ipv6 := range []bool{true, false} {
		c := &layout.Cluster{Name: "x", Index: 3, IPv6: ipv6}
		var service core.Service
		for _, document := range strings.Split(Manifests(c, components.Images{}), "\n---\n") {
			if strings.Contains(document, "kind: Service\n") {
				if err := yaml.Unmarshal([]byte(document), &service); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Equal(service.Spec.ClusterIPs, c.DNSServiceIPs()) || service.Spec.ClusterIP != c.DNSServiceIPs()[0] {
			t.Errorf("%+v", service.Spec)
		}
	}
}
