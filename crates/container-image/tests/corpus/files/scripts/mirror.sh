#!/bin/bash
target=${1:-registry.acme.example}
image=${2:-alpine:3.20}
TOOLS="${TOOLS:-ghcr.io/acme/tools:3.1}"
skopeo copy --all docker://quay.io/acme/app:1.2 "docker://$target/app:1.2"
skopeo inspect docker://debian:12 | jq -r '.Created'
skopeo copy docker://docker.io/library/busybox:1.36 docker-archive:/tmp/busybox.tar:busybox:latest
crane copy gcr.io/distroless/base:nonroot 123456789012.dkr.ecr.eu-west-1.amazonaws.com/base:nonroot
crane digest nginx:1.27
oras pull ghcr.io/acme/config:v3 --output /tmp/config:v3
oras cp mcr.microsoft.com/oss/kubernetes/pause:3.9 "$target/pause:3.9"
for one in registry.k8s.io/coredns/coredns:v1.11.3 quay.io/coreos/etcd:v3.5.15 "$target/own:1.0"; do
  crane copy "$one" "$target/${one#*/}"
done
aws s3 sync s3://acme-mirror/images:latest . && echo "done at $(date +%H:%M)"
echo "$TOOLS mirrored $image"
