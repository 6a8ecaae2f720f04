package layout

import "fmt"

// Every range is there twice where the cluster has IPv6: first that of IPv4, which is the primary
// family. The IPv6 ones are parts of one unique local /48 (RFC 4193), disjoint over clusters as
// those of IPv4 are. Their fourth group says what they are for: 100 and the cluster's index in
// hexadecimal for nodes, 200 and the index for services, 8000 and 100 times the index for pods.
const local6 = "fd5a:89c4:e117"

func (c *Cluster) families(v4, v6 string) []string {
	if c.IPv6 {
		return []string{v4, v6}
	}
	return []string{v4}
}

// HostIPs are the host's addresses on the cluster network, with the length of its prefix.
func (c *Cluster) HostIPs() []string {
	return c.families(fmt.Sprintf("10.89.%d.1/24", c.Index), fmt.Sprintf("%s:%x::1/64", local6, 0x100+c.Index))
}

// PodRanges hold every node's pod subnets.
func (c *Cluster) PodRanges() []string {
	return c.families(fmt.Sprintf("10.%d.0.0/16", 200+c.Index), fmt.Sprintf("%s:%x::/56", local6, 0x8000+0x100*c.Index))
}

// ServiceRanges hold the cluster IPs.
func (c *Cluster) ServiceRanges() []string {
	return c.families(fmt.Sprintf("10.%d.0.0/16", 150+c.Index), fmt.Sprintf("%s:%x::/112", local6, 0x200+c.Index))
}

// APIServiceIP is the first service address, that of `kubernetes.default`, which has one family.
func (c *Cluster) APIServiceIP() string { return fmt.Sprintf("10.%d.0.1", 150+c.Index) }

// DNSServiceIPs are where CoreDNS answers.
func (c *Cluster) DNSServiceIPs() []string {
	return c.families(fmt.Sprintf("10.%d.0.10", 150+c.Index), fmt.Sprintf("%s:%x::a", local6, 0x200+c.Index))
}

// IP is the node's first address on the cluster network, that of IPv4.
func (n Node) IP() string { return n.IPs()[0] }

// IPs are the node's addresses on the cluster network.
func (n Node) IPs() []string {
	c := n.Cluster
	return c.families(fmt.Sprintf("10.89.%d.%d", c.Index, 10+n.Number), fmt.Sprintf("%s:%x::%x", local6, 0x100+c.Index, 10+n.Number))
}

// PodSubnets are the parts of the pod ranges that this node hands out.
func (n Node) PodSubnets() []string {
	c := n.Cluster
	return c.families(fmt.Sprintf("10.%d.%d.0/24", 200+c.Index, n.Number),
		fmt.Sprintf("%s:%x::/64", local6, 0x8000+0x100*c.Index+n.Number))
}
