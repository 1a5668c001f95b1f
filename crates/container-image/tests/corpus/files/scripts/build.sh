#!/usr/bin/env bash
set -euo pipefail
registry=123456789012.dkr.ecr.eu-west-1.amazonaws.com
docker buildx build --platform linux/amd64,linux/arm64 -t ghcr.io/acme/app:1.0 --tag "$registry/app:1.0" --file Dockerfile .
docker build --build-arg BASE=docker.io/library/debian:12 --build-arg MODE=release:full --tag=acme/app:1.0 .
docker tag acme/app:1.0 quay.io/acme/app:1.0
docker push quay.io/acme/app:1.0
docker push --quiet ghcr.io/acme/app:1.0
docker run --rm acme/app:1.0 version
docker image pull docker.io/aquasec/trivy:0.55.0
docker save quay.io/acme/app:1.0 | gzip > app.tar.gz
git clone git@github.com:acme/app.git && git -C app fetch origin refs/heads/main:refs/remotes/main
rsync -a dist/ deploy@www.acme.example:/srv/www/app:1.0/
