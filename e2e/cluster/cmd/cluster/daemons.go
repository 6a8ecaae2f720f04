package main

import (
	"context"
	"errors"
	"log"
	"time"

	"k8s.io/client-go/kubernetes"

	"storefront.dev/cluster/internal/doctor"
	"storefront.dev/cluster/internal/forward"
	"storefront.dev/cluster/internal/hold"
	"storefront.dev/cluster/internal/layout"
	"storefront.dev/cluster/internal/provision"
)

func nodeInit(o options) error {
	c, err := mine(o)
	if err != nil {
		return err
	}
	return hold.Run(c.Node(o.node))
}

func runProvisioner(o options) error {
	return serve(o, func(ctx context.Context, client kubernetes.Interface, c *layout.Cluster) error {
		return provision.Run(ctx, client, c.Path("volumes"))
	})
}

func runForwarder(o options) error {
	return serve(o, func(ctx context.Context, client kubernetes.Interface, c *layout.Cluster) error {
		return forward.Run(ctx, client, forward.File(c))
	})
}

// serve runs a daemon of the host for as long as the cluster is this one.
func serve(o options, run func(context.Context, kubernetes.Interface, *layout.Cluster) error) error {
	c, err := mine(o)
	if err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		// The state folder was deleted by hand: there is nothing left to serve.
		for range time.Tick(5 * time.Second) {
			if _, err := layout.Load(o.name); err != nil {
				log.Printf("the cluster is gone: %v", err)
				cancel()
			}
		}
	}()
	return run(ctx, client, c)
}

// mine loads the cluster and checks that it is the one the command line means.
func mine(o options) (*layout.Cluster, error) {
	c, err := layout.Load(o.name)
	if err == nil && o.state != c.Path() {
		return nil, errors.New("this is a part of a running cluster, started by `cluster up`")
	}
	return c, err
}

func runDoctor(o options) error { return doctor.Check(o.name) }
