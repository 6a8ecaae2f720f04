// Command cluster boots a real Kubernetes on this machine and takes it down again without
// leaving anything behind. See README.md beside the module for how and why.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"storefront.dev/cluster/internal/layout"
)

const usage = `cluster boots a real Kubernetes on this machine, without a container daemon.

Usage: cluster <command> [--name dev] [flags]

Commands:
  up          boot the cluster, or bring back what is not running; nothing else changes
  down        end it: every process, mount, interface, cgroup and file of it
  status      what runs; exit code 1 when something does not
  list        the clusters of this machine's user
  load-image  import image archives (or, without arguments, all built ones) that are absent
  kill-pod    SIGKILL the main process of a pod's container, for fault tests
  kubeconfig  print the path of the administrator's kubeconfig
  url         print the URL of a shop's gateway on 127.0.0.1
  doctor      check what the machine must offer

Run "cluster <command> --help" for its flags.
`

// options are the flags of all commands; each command registers those that it knows.
type options struct {
	name      string
	nodes     int
	namespace string
	gateway   string
	container string
	node      int
	state     string
	args      []string
}

type command struct {
	flags func(*flag.FlagSet, *options)
	run   func(options) error
}

var commands = map[string]command{
	"up":         {nodesFlag, up},
	"down":       {nil, down},
	"status":     {nil, status},
	"list":       {nil, list},
	"load-image": {nil, loadImages},
	"kill-pod":   {podFlags, killPod},
	"kubeconfig": {nil, kubeconfig},
	"url":        {gatewayFlags, printURL},
	"doctor":     {nil, runDoctor},
	// Started by `up`, not by users.
	"node-init": {nodeFlags, nodeInit},
	"provision": {stateFlag, runProvisioner},
	"forward":   {stateFlag, runForwarder},
}

func main() {
	if len(os.Args) < 2 || slices.Contains([]string{"-h", "--help", "help"}, os.Args[1]) {
		fmt.Print(usage)
		return
	}
	chosen, known := commands[os.Args[1]]
	if !known {
		fmt.Fprintf(os.Stderr, "cluster: unknown command %q\n\n%s", os.Args[1], usage)
		os.Exit(2)
	}
	var o options
	flags := flag.NewFlagSet("cluster "+os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.name, "name", "dev", "the cluster's name")
	if chosen.flags != nil {
		chosen.flags(flags, &o)
	}
	_ = flags.Parse(os.Args[2:]) // exits by itself on a bad flag
	o.args = flags.Args()
	err := layout.CheckName(o.name)
	if err == nil {
		err = chosen.run(o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cluster %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func nodesFlag(f *flag.FlagSet, o *options) { f.IntVar(&o.nodes, "nodes", 1, "how many nodes") }

func nodeFlags(f *flag.FlagSet, o *options) {
	f.IntVar(&o.node, "node", 1, "the node's number")
	stateFlag(f, o)
}

// stateFlag exists to make the command line of a daemon name one cluster of one user.
func stateFlag(f *flag.FlagSet, o *options) {
	f.StringVar(&o.state, "state", "", "the cluster's state folder")
}

func podFlags(f *flag.FlagSet, o *options) {
	f.StringVar(&o.namespace, "namespace", "default", "the pod's namespace")
	f.StringVar(&o.container, "container", "", "the container (default: the first)")
}

func gatewayFlags(f *flag.FlagSet, o *options) {
	f.StringVar(&o.namespace, "namespace", "", "the gateway's namespace (default: that of the oldest gateway)")
	f.StringVar(&o.gateway, "gateway", "", "the gateway's name (default: the oldest)")
}

// load reads the cluster; the error names the command that makes one.
func load(name string) (*layout.Cluster, error) {
	c, err := layout.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no cluster %q; `cluster list` shows which there are, `cluster up --name %s` makes it", name, name)
	}
	return c, err
}

func kubeconfig(o options) error {
	c, err := load(o.name)
	if err == nil {
		fmt.Println(c.Kubeconfig())
	}
	return err
}

func list(options) error {
	names, err := layout.Names()
	for _, name := range names {
		fmt.Println(name)
	}
	return err
}
