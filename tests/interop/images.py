"""Images of other tools: umoci creates images, skopeo pushes them, buildah creates indexes."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from registries import MANIFEST_TYPES, Registry

OCI_INDEX, _, OCI_MANIFEST, _ = MANIFEST_TYPES
BUSYBOX = Path("/bin/busybox")


def run(*command, **options):
    """Runs a tool. If it fails, raises its error output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=120, **options)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"{' '.join(str(part) for part in command)}: exit {done.returncode}: {message}")
    return done.stdout


def pack(folder: Path) -> Path:
    """Creates an OCI layout with two images of busybox, tagged `amd64` and `arm64`. Only their configs differ in the
    architecture, because nothing runs them."""
    layout = folder / "layout"
    run("umoci", "init", "--layout", layout)
    for architecture in ["amd64", "arm64"]:
        image = f"{layout}:{architecture}"
        note = folder / f"note-{architecture}"
        # Content that differs, and that cannot be compressed.
        note.write_bytes(architecture.encode() + os.urandom(300_000))
        run("umoci", "new", "--image", image)
        run("umoci", "insert", "--rootless", "--image", image, BUSYBOX, "/bin/busybox")
        run("umoci", "insert", "--rootless", "--image", image, note, "/etc/note")
        run("umoci", "config", "--image", image, "--os", "linux", "--architecture", architecture,
            "--config.cmd", "/bin/busybox", "--config.label", "made.by=umoci")
    return layout


def push(layout: Path, source: Registry, manifest_format: str):
    """Pushes both images with skopeo to the repository with the name of the format (`oci` or `v2s2`)."""
    for architecture in ["amd64", "arm64"]:
        run("skopeo", "--insecure-policy", "copy", "-q", "--format", manifest_format, "--dest-tls-verify=false",
            f"oci:{layout}:{architecture}", f"docker://{source.host}/{manifest_format}:{architecture}")


def push_index_with_buildah(source: Registry, manifest_format: str, folder: Path):
    """Creates an index of both images with buildah, with the tag `all`."""
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    storage = ["--root", folder / "root", "--runroot", folder / "run", "--storage-driver", "vfs"]
    name = f"list-{manifest_format}"
    run("buildah", *storage, "manifest", "create", name)
    for architecture in ["amd64", "arm64"]:
        run("buildah", *storage, "manifest", "add", "--tls-verify=false", "--arch", architecture, "--os", "linux",
            name, f"docker://{source.host}/{manifest_format}:{architecture}")
    run("buildah", *storage, "manifest", "push", "--all", "--format", manifest_format, "--tls-verify=false",
        "--signature-policy", policy, name, f"docker://{source.host}/{manifest_format}:all")


def push_handwritten_index(source: Registry, tag: str):
    """Pushes an index of the two OCI images and an attestation that no serializer reproduces: unusual spaces, unknown
    fields, no final newline."""
    entries = []
    for architecture in ["amd64", "arm64"]:
        _, body = source.get(f"/v2/oci/manifests/{architecture}")
        platform = {"os": "linux", "architecture": architecture}
        entries.append({"mediaType": OCI_MANIFEST, **_descriptor(body), "platform": platform})
    statement = _put_blob(source, "oci", b'{"_type": "https://in-toto.io/Statement/v0.1"}')
    attestation = json.dumps({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **_put_blob(source, "oci", b"{}")},
        "layers": [{"mediaType": "application/vnd.in-toto+json", **statement}],
    }).encode()
    _put_manifest(source, "oci", _descriptor(attestation)["digest"], OCI_MANIFEST, attestation)
    entries.append({
        "mediaType": OCI_MANIFEST,
        **_descriptor(attestation),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest",
                        "vnd.docker.reference.digest": entries[0]["digest"]},
    })
    document = {"x-unknown": [1.0, "é"], "manifests": entries, "mediaType": OCI_INDEX, "schemaVersion": 2}
    _put_manifest(source, "oci", tag, OCI_INDEX, json.dumps(document, indent=5, separators=(" ,", " : ")).encode())


def push_referrer(registry: Registry, repository: str, digest: str, size: int) -> str:
    """Pushes a referrer of a manifest, like `oras attach`. Returns its digest."""
    note = {"mediaType": "text/plain", **_put_blob(registry, repository, b"checked by interop")}
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", **_put_blob(registry, repository, b"{}")}
    artifact = json.dumps({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.note",
        "config": empty,
        "layers": [note],
        "subject": {"mediaType": OCI_MANIFEST, "digest": digest, "size": size},
    }).encode()
    name = _descriptor(artifact)["digest"]
    _put_manifest(registry, repository, name, OCI_MANIFEST, artifact)
    return name


def _descriptor(content: bytes) -> dict:
    return {"digest": "sha256:" + hashlib.sha256(content).hexdigest(), "size": len(content)}


def _put_blob(source: Registry, repository: str, content: bytes) -> dict:
    descriptor = _descriptor(content)
    source.put_blob(repository, descriptor["digest"], content)
    return descriptor


def _put_manifest(source: Registry, repository: str, name: str, media_type: str, content: bytes):
    source.send("PUT", f"/v2/{repository}/manifests/{name}", content, media_type)
