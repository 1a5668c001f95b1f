"""Starts workers. See https://acme.example/docs:start and src/app.py:12."""
from datetime import time
from app.images import image as image

DEFAULT_IMAGE = "ghcr.io/acme/worker:1.8"
BUCKET = "s3://acme-data/raw:v1"
CACHE = "redis://localhost:6379/0"
SCALES = {"a/b:c": 1, "ghcr.io/acme/key:1": 2}


def start(client, version, window: "time/range:open" = None):
    client.containers.create(image="redis:7.4-alpine", ports={"6379/tcp": 6379})
    client.containers.create(image=f"acme/app:{version}")
    client.containers.create(image="quay.io/acme/app:v" + version)
    print("image: %s" % version, 'quay.io/acme/app:%s' % version)
    return ["gcr.io/acme-tools/report:2024.10", "{}/app:1".format(client), "12/05:30"]
