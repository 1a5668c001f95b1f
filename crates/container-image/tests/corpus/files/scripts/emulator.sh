#!/bin/sh
DEFAULT_IMAGE_NAME='gcr.io/acme-tools/emulator'
DEFAULT_IMAGE_TAG='latest'
DOCKER_IMAGE=${DEFAULT_IMAGE_NAME}:${DEFAULT_IMAGE_TAG}
PROXY_IMAGE='gcr.io/acme-tools/proxy:1.0'
docker pull "$DOCKER_IMAGE"
docker run -d --publish=9000:9000 --name emulator "$PROXY_IMAGE"
