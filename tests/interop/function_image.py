"""Checks the provider's container-image form: its Dockerfile, built on a base that stands in for AWS's."""

import json
import tarfile
from pathlib import Path

from images import run
from world import World

DOCKERFILE = Path(__file__).parents[2] / "cloudformation" / "Dockerfile"
# In the words of packages and of images.
PROCESSORS = {"arm64": "arm64", "x86_64": "amd64"}
# As AWS's base has it: it runs what the runtime's folder holds.
ENTRYPOINT = ["/lambda-entrypoint.sh"]


def check_function_image(world: World):
    """the Dockerfile puts each processor's program where the runtime looks for it"""
    folder = world.folder / "function-image"
    context = folder / "context"
    for processor in PROCESSORS:
        (context / processor).mkdir(parents=True)
        (context / processor / "bootstrap").write_text(f"program for {processor}")
    for processor, architecture in PROCESSORS.items():
        config, files = build(folder, context, processor, architecture)
        assert config["architecture"] == architecture, config
        assert (config["config"]["Entrypoint"], config["config"]["Cmd"]) == (ENTRYPOINT, ["bootstrap"]), config
        assert files == {"var/runtime/bootstrap": (0o755, f"program for {processor}".encode())}, files


def build(folder: Path, context: Path, processor: str, architecture: str):
    """Builds it; gives its config, and the files of all layers with mode and content."""
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    storage = folder / processor
    buildah = ["buildah", "--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs"]
    name, = [line.split()[1] for line in DOCKERFILE.read_text().splitlines() if line.startswith("FROM ")]
    base = run(*buildah, "from", "scratch").decode().strip()
    run(*buildah, "config", "--arch", architecture, "--entrypoint", json.dumps(ENTRYPOINT), base)
    run(*buildah, "commit", "--signature-policy", policy, base, name)
    run(*buildah, "build", "--isolation", "chroot", "--pull-never", "--signature-policy", policy,
        "--platform", f"linux/{architecture}", "--build-arg", f"ARCHITECTURE={processor}",
        "--file", DOCKERFILE, "--tag", "function", context)
    image = storage / "image"
    run(*buildah, "push", "--signature-policy", policy, "localhost/function", f"dir:{image}")
    manifest = json.loads((image / "manifest.json").read_text())
    config, *layers = [image / descriptor["digest"].removeprefix("sha256:")
                       for descriptor in [manifest["config"], *manifest["layers"]]]
    files = {}
    for layer in layers:
        with tarfile.open(layer) as archive:
            files |= {entry.name: (entry.mode & 0o7777, archive.extractfile(entry).read())
                      for entry in archive if entry.isfile()}
    return json.loads(config.read_text()), files


CHECKS = [check_function_image]
