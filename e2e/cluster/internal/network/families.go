package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"storefront.dev/cluster/internal/layout"
)

// LackOfIPv6 says why a cluster on this machine can have no IPv6; nil when it can. The machine needs
// no IPv6 address or route of its own: addresses are those of the cluster network.
func LackOfIPv6() error {
	switch disabled, err := os.ReadFile("/proc/sys/net/ipv6/conf/all/disable_ipv6"); {
	case err != nil:
		return errors.New("the kernel has no IPv6 (it was started with ipv6.disable=1, or built without)")
	case strings.TrimSpace(string(disabled)) != "0":
		return errors.New("IPv6 is disabled on this machine (sysctl net.ipv6.conf.all.disable_ipv6=0 enables it)")
	}
	// What kube-proxy does, in a namespace that ends with the program.
	probe := exec.Command("nft", "add table ip6 probe; add chain ip6 probe nat { type nat hook output priority 0; }")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if output, err := probe.CombinedOutput(); err != nil {
		return fmt.Errorf("the kernel has no NAT of IPv6 in nftables (%s): load the module (modprobe nft_chain_nat)", strings.TrimSpace(string(output)))
	}
	return nil
}

// Families judges a cluster on a machine with that lack of IPv6: what to tell, if anything.
func Families(c *layout.Cluster, lack error) (string, error) {
	switch {
	case c.IPv6 && lack != nil:
		return "", fmt.Errorf("cluster %q was made with IPv6, which this machine does not offer any more: %w; "+
			"`cluster down --name %s`, then `up`, makes one without", c.Name, lack, c.Name)
	case c.IPv6:
		return "", nil
	case lack != nil:
		return "IPv4 only: " + lack.Error(), nil
	}
	return fmt.Sprintf("IPv4 only: the cluster was made so; `cluster down --name %s`, then `up`, makes one with IPv6", c.Name), nil
}
