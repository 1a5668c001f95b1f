"""Compares copied images with their sources byte by byte, with skopeo."""

import hashlib
import tempfile
from pathlib import Path

from images import run
from registries import Registry


def check_same(source: Registry, source_name: str, destination: Registry, destination_name: str):
    """Compares manifests, media types and every blob of two images (`repository:tag`)."""
    for registry, name in [(source, source_name), (destination, destination_name)]:
        headers, body = _manifest(registry, name)
        inspect = ["skopeo", "--insecure-policy", "inspect", "--raw", *_options(registry)]
        raw = run(*inspect, _reference(registry, name))
        assert raw == body, f"skopeo inspect --raw and the registry disagree on {name}"
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        assert headers["Docker-Content-Digest"] == digest, f"{name} has another digest"
    (old, old_body), (new, new_body) = _manifest(source, source_name), _manifest(destination, destination_name)
    assert old_body == new_body, f"{destination_name}: the manifest's bytes differ"
    assert old["Content-Type"] == new["Content-Type"], f"{destination_name}: the media type differs"
    with tempfile.TemporaryDirectory() as folder:
        before = _pull(source, source_name, Path(folder, "before"))
        after = _pull(destination, destination_name, Path(folder, "after"))
    assert len(before) >= 3, f"{source_name} has too few files: {sorted(before)}"
    assert before == after, f"{destination_name}: files differ: {set(before.items()) ^ set(after.items())}"


def _pull(registry: Registry, name: str, folder: Path) -> dict[str, str]:
    """Pulls the image with skopeo. Returns the names of its files with their digests."""
    run("skopeo", "--insecure-policy", "copy", "-q", "--all", "--preserve-digests", *_options(registry, "src-"),
        _reference(registry, name), f"dir:{folder}")
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    for name, digest in files.items():
        assert len(name) != 64 or name == digest, f"blob {name} has the digest {digest}"
    return files


def _manifest(registry: Registry, name: str):
    repository, tag = name.rsplit(":", 1)
    return registry.get(f"/v2/{repository}/manifests/{tag}")


def _reference(registry: Registry, name: str) -> str:
    return f"docker://{registry.host}/{name}"


def _options(registry: Registry, prefix: str = "") -> list[str]:
    options = []
    if registry.ca:
        options += [f"--{prefix}cert-dir", str(registry.ca.folder)]
    else:
        options += [f"--{prefix}tls-verify=false"]
    if registry.credentials:
        options += [f"--{prefix}creds", ":".join(registry.credentials)]
    return options
