#!/bin/sh
# Starts the services. The old cache was redis:6.2.
set -eu
version=1.0
docker network create app
docker run -d --name cache --network app -p 127.0.0.1:6379:6379 -v cache:/data:rw --restart unless-stopped redis:7.4 redis-server --save 60:1
docker run --rm -it -u 1000:1000 -e "URL=http://cache:6379/a:b" --add-host host:10.0.0.2 \
  --mount type=bind,source="$PWD",target=/src -w /src golang:1.23 go test ./...
docker run --rm alpine sh -c 'echo a/b:c'
docker run --rm "acme/app:$version" --image-name x
docker container run --pull=always --env-file=.env --gpus all nvcr.io/nvidia/pytorch:24.08-py3 nvidia-smi
podman run --rm --volume=/srv:/srv:Z quay.io/acme/indexer:0.9 index /srv
docker exec -it cache redis-cli -u redis://localhost:6379/0
docker cp cache:/data/dump.rdb ./dump.rdb
docker logs --since 2024-05-01T12:00:00 cache
