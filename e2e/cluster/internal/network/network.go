// Package network joins the nodes to the host: one bridge per cluster, one veth pair per
// node, and routes to the pods and services. There is no way out to the rest of the
// world on purpose: a cluster that works here needs nothing from outside.
package network

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"storefront.dev/cluster/internal/layout"
)

// Up makes what is missing between host and node, and leaves the rest alone. initPID is
// the node's init process, whose network namespace gets the other end.
func Up(n layout.Node, initPID int) error {
	if err := bridge(n.Cluster); err != nil {
		return err
	}
	if err := veth(n, initPID); err != nil {
		return err
	}
	// The routes come before anything dials: a packet to a pod or service for which there
	// is no route would leave by the machine's default route and be lost far away.
	for _, arguments := range routes(n) {
		if err := ip(arguments...); err != nil {
			return err
		}
	}
	return nil
}

// routes are the arguments of `ip` for the host's routes to the node's pods and the services.
func routes(n layout.Node) [][]string {
	var all [][]string
	for family, via := range n.IPs() {
		for _, target := range []string{n.PodSubnets()[family], n.Cluster.ServiceRanges()[family]} {
			all = append(all, []string{"route", "replace", target, "via", via, "dev", n.Cluster.Bridge()})
		}
	}
	return all
}

func bridge(c *layout.Cluster) error {
	if !exists(c.Bridge()) {
		if err := ip("link", "add", c.Bridge(), "type", "bridge"); err != nil {
			return err
		}
	}
	if err := ip("link", "set", "dev", c.Bridge(), "alias", c.Alias()); err != nil {
		return err
	}
	for _, address := range c.HostIPs() {
		if err := ip(ours(address, c.Bridge())...); err != nil {
			return err
		}
	}
	return ip("link", "set", c.Bridge(), "up")
}

// ours gives an interface an address. Nobody else is on the network, so none is looked for: an address
// of IPv6 would not answer for the second or two that this takes.
func ours(address, link string) []string {
	arguments := []string{"addr", "replace", address, "dev", link}
	if netip.MustParsePrefix(address).Addr().Is6() {
		arguments = append(arguments, "nodad")
	}
	return arguments
}

func veth(n layout.Node, initPID int) error {
	if !exists(n.Link()) {
		err := ip("link", "add", n.Link(), "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(initPID))
		if err != nil {
			return err
		}
	}
	if err := ip("link", "set", n.Link(), "master", n.Cluster.Bridge(), "up"); err != nil {
		return err
	}
	for _, arguments := range node(n) {
		if err := inside(initPID, arguments...); err != nil {
			return err
		}
	}
	return nil
}

// node are the arguments of `ip` for the node's own end.
func node(n layout.Node) [][]string {
	all := [][]string{{"link", "set", "lo", "up"}}
	for family, address := range n.IPs() {
		length := netip.MustParsePrefix(n.Cluster.HostIPs()[family]).Bits()
		all = append(all, ours(fmt.Sprintf("%s/%d", address, length), "eth0"))
	}
	all = append(all, []string{"link", "set", "eth0", "up"})
	// What is neither a pod, a service nor the host is refused at once, so that a
	// stray connection fails with a clear error instead of a timeout.
	all = append(all, []string{"route", "replace", "unreachable", "default"})
	if n.Cluster.IPv6 {
		all = append(all, []string{"-6", "route", "replace", "unreachable", "default"})
	}
	return all
}

// Forget removes the host's end of a node whose namespace is gone or going.
func Forget(n layout.Node) error {
	if !exists(n.Link()) {
		return nil
	}
	if err := ip("link", "del", n.Link()); err != nil && exists(n.Link()) {
		return err
	}
	return nil
}

// Down removes the host's side. The veth pairs go with the nodes' namespaces, or here
// when a namespace is still dying; the routes go with the bridge.
func Down(c *layout.Cluster) error {
	for number := 1; number <= max(c.Nodes, 1); number++ {
		if err := Forget(c.Node(number)); err != nil {
			return err
		}
	}
	if !exists(c.Bridge()) {
		return nil
	}
	if err := ip("link", "del", c.Bridge()); err != nil && exists(c.Bridge()) {
		return err
	}
	return nil
}

func exists(link string) bool {
	_, err := os.Stat("/sys/class/net/" + link)
	return err == nil
}

func ip(arguments ...string) error { return run("ip", arguments...) }

func inside(pid int, arguments ...string) error {
	return run("nsenter", append([]string{"--target", fmt.Sprint(pid), "--net", "ip"}, arguments...)...)
}

func run(program string, arguments ...string) error {
	output, err := exec.Command(program, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %s (%w)", program, strings.Join(arguments, " "), strings.TrimSpace(string(output)), err)
	}
	return nil
}
