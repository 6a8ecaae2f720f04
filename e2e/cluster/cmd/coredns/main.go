// Command coredns is CoreDNS with the plugins that the cluster's Corefile names, and no others.
//
// Why not the whole of CoreDNS: most of its plugins are clients of cloud providers, which take longer to
// compile than everything that is used here. Built from this module it shares the Kubernetes libraries with the rest.
package main

import (
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

func main() { coremain.Run() }
