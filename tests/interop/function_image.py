"""Checks the provider's Dockerfile with an empty base image instead of AWS's."""

import json
import tarfile
from pathlib import Path

from images import run
from world import World

DOCKERFILE = Path(__file__).parents[2] / "cloudformation" / "Dockerfile"
# Names of architectures in packages and in images.
ARCHITECTURES = {"arm64": "arm64", "x86_64": "amd64"}
# Entrypoint of AWS's base image. It runs the program in the runtime's folder.
ENTRYPOINT = ["/lambda-entrypoint.sh"]


def check_function_image(world: World):
    """the Dockerfile copies each architecture's program to the runtime's folder"""
    folder = world.folder / "function-image"
    context = folder / "context"
    for package in ARCHITECTURES:
        (context / package).mkdir(parents=True)
        (context / package / "bootstrap").write_text(f"program for {package}")
    for package, architecture in ARCHITECTURES.items():
        config, files = build(folder, context, package, architecture)
        assert config["architecture"] == architecture, config
        assert (config["config"]["Entrypoint"], config["config"]["Cmd"]) == (ENTRYPOINT, ["bootstrap"]), config
        assert files == {"var/runtime/bootstrap": (0o755, f"program for {package}".encode())}, files


def build(folder: Path, context: Path, package: str, architecture: str):
    """Builds the image. Returns its config, and the files of all layers with mode and content."""
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    storage = folder / package
    buildah = ["buildah", "--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs"]
    name, = [line.split()[1] for line in DOCKERFILE.read_text().splitlines() if line.startswith("FROM ")]
    base = run(*buildah, "from", "scratch").decode().strip()
    run(*buildah, "config", "--arch", architecture, "--entrypoint", json.dumps(ENTRYPOINT), base)
    run(*buildah, "commit", "--signature-policy", policy, base, name)
    run(*buildah, "build", "--isolation", "chroot", "--pull-never", "--signature-policy", policy,
        "--platform", f"linux/{architecture}", "--build-arg", f"ARCHITECTURE={package}",
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
