package main

import (
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhatWasNotStartedSinceTheBootIsOfThePast(t *testing.T) {
	booted := time.Now()
	before, after := meta.NewTime(booted.Add(-time.Minute)), meta.NewTime(booted.Add(time.Second))
	running := func(at meta.Time) core.ContainerState {
		return core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: at}}
	}
	ended := func(at meta.Time) core.ContainerState {
		return core.ContainerState{Terminated: &core.ContainerStateTerminated{StartedAt: at}}
	}
	waiting := func(reason string) core.ContainerState {
		return core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason}}
	}
	for name, o := range map[string]struct {
		policy core.RestartPolicy
		status core.ContainerStatus
		want   bool
	}{
		"shown as it ran before":     {core.RestartPolicyAlways, core.ContainerStatus{State: running(before)}, true},
		"runs again":                 {core.RestartPolicyAlways, core.ContainerStatus{State: running(after), LastTerminationState: ended(before)}, false},
		"found dead":                 {core.RestartPolicyAlways, core.ContainerStatus{State: ended(before)}, true},
		"ended since":                {core.RestartPolicyAlways, core.ContainerStatus{State: ended(after)}, false},
		"a job's, done":              {core.RestartPolicyNever, core.ContainerStatus{State: ended(before)}, false},
		"being made again":           {core.RestartPolicyAlways, core.ContainerStatus{State: waiting("ContainerCreating"), LastTerminationState: ended(before)}, true},
		"new, being made":            {core.RestartPolicyAlways, core.ContainerStatus{State: waiting("ContainerCreating")}, false},
		"without its image":          {core.RestartPolicyAlways, core.ContainerStatus{State: waiting("ErrImageNeverPull"), LastTerminationState: ended(before)}, false},
		"crashing, before and since": {core.RestartPolicyAlways, core.ContainerStatus{State: waiting("CrashLoopBackOff"), LastTerminationState: ended(after)}, false},
	} {
		if got := past(o.policy, o.status, booted); got != o.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
