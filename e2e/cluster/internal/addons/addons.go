// Package addons holds what the cluster itself runs as objects: CoreDNS and the default
// StorageClass.
package addons

import (
	_ "embed"
	"strings"

	"storefront.dev/cluster/internal/components"
	"storefront.dev/cluster/internal/layout"
	"storefront.dev/cluster/internal/provision"
)

//go:embed files/coredns.yaml
var coredns string

//go:embed files/storage.yaml
var storage string

// Manifests returns everything to apply, as one YAML stream.
func Manifests(c *layout.Cluster, images components.Images) string {
	fill := strings.NewReplacer(
		"@DNS_IP@", c.DNSServiceIPs()[0],
		"@DNS_IPS@", `"`+strings.Join(c.DNSServiceIPs(), `", "`)+`"`,
		"@COREDNS_IMAGE@", images.CoreDNS,
		"@PROVISIONER@", provision.Name,
	)
	return fill.Replace(coredns + "\n---\n" + storage)
}
