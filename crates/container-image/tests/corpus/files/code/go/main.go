package main

import (
	"fmt"
	"golang.org/x/sync/errgroup"
	"time"
)

const defaultImage = "busybox:1.36"

var mirrors = []string{"registry.k8s.io/pause:3.10", "acme/own:1", "https://acme.example/a:1"}

// container starts postgres:15, or later.
func container(tag string) Request {
	_ = fmt.Sprintf("ghcr.io/acme/app:%s", tag)
	_ = "ghcr.io/acme/app:" + tag
	_ = "ghcr.io/acme/app:v1-" + tag
	_, _ = time.Parse("2006-01-02T15:04:05Z07:00", "2024-05-01T12:00:00Z")
	return Request{
		Image:        "postgres:16.4-alpine",
		ExposedPorts: []string{"5432/tcp"},
		WaitingFor:   "db:5432/ready",
	}
}
