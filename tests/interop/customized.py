"""Compares `copy --customize` with buildah: the same lines on the same base."""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from images import BUSYBOX, run
from registries import Registry
from world import TIMEOUT, World

# Programs of the base, which are links to busybox.
PROGRAMS = ["sh", "mkdir", "chmod", "chown", "touch", "ln", "true"]

# Lines whose configuration and files must be equal.
SEQUENCES = [
    "ENV A=1",
    "ENV A=1 B=\"two words\" C='$BASE' D=a\\ b",
    "ENV A some words",
    "ENV A=$BASE-${BASE}-${NONE:-default}-${BASE:+set}",
    "ENV BASE=new OTHER=$BASE\nENV LAST=$BASE",
    "ENV PATH=/opt/bin:$PATH",
    "ENV A=1 \\\n    B=2",
    "ENV A=",
    "ENV A=x=y",
    "LABEL a=1 \"com.example.b\"=\"c d\"",
    "LABEL kept=changed",
    "LABEL a some words",
    "LABEL a=\"$BASE\"",
    "VOLUME /vault/file",
    "VOLUME /a /b",
    "VOLUME [\"/a b\", \"/c\"]",
    "EXPOSE 80",
    "EXPOSE 80/tcp 53/udp",
    "USER 1000:1001",
    "USER app",
    "USER $BASE",
    "STOPSIGNAL SIGQUIT",
    "STOPSIGNAL 9",
    "CMD [\"a\", \"b c\"]",
    "CMD echo $BASE 'x y'",
    "CMD echo a && \\\n    echo b",
    "CMD ['a']",
    "ENTRYPOINT [\"/x\"]",
    "ENTRYPOINT exec /x",
    "CMD [\"c\"]\nENTRYPOINT [\"/x\"]",
    "ENTRYPOINT [\"/x\"]\nCMD [\"c\"]",
    "HEALTHCHECK CMD curl -f http://localhost/",
    "HEALTHCHECK --interval=30s --timeout=1m30s --start-period=5s --retries=3 CMD [\"/check\"]",
    "HEALTHCHECK NONE",
    "WORKDIR /app",
    "WORKDIR sub/dir",
    "WORKDIR /a\nWORKDIR b\nWORKDIR ../c/./",
    "WORKDIR /tmp",
    "WORKDIR /srv/base",
    "RUN mkdir -p /vault/file",
    "RUN mkdir -p /vault/file && chmod 777 /vault/file",
    "RUN mkdir -p /vault/file && chmod 777 /vault/file\nVOLUME /vault/file\nENV A=1",
    "RUN mkdir -m 0700 /vault",
    "RUN mkdir -pm 1777 /a /b",
    "RUN mkdir /a && mkdir /a/b",
    "RUN [\"mkdir\", \"-p\", \"/a b\"]",
    "RUN mkdir -p data",
    "RUN mkdir -p /x/$BASE \"/y/${BASE} z\"",
    "RUN mkdir -p /tmp /var/lib/x",
    "RUN touch /etc/x /a",
    "RUN touch /a && chmod 600 /a && chown 5:6 /a",
    "RUN mkdir -p /a && touch /a/x /b && chmod -R 700 /a && chown -R 7:8 /a",
    "RUN touch /a && chown :9 /a",
    "RUN mkdir /a && ln -s ../x /a/b",
    "RUN ln -s /x /a && ln -sf /y /a",
    "RUN touch '/a b' /c\\ d \"/e\\\"f\"",
    "WORKDIR /w\nRUN mkdir -p b/c && touch b/c/d",
    "RUN mkdir -p \\\n  /opt/app \\\n  # a comment\n  && chmod 750 /opt/app",
]


def check_customize(world: World):
    """the same configuration and files as buildah for each sequence of lines, and umoci unpacks each result"""
    folder = world.folder / "customized"
    folder.mkdir()
    build = Buildah(folder)
    push_base(build, world.source, folder)
    differences = []
    for number, lines in enumerate(SEQUENCES):
        theirs = build.build(f"FROM {world.source.host}/customize:base\n{lines}\n", number)
        ours = customize(world, lines, number)
        unpack(world, number, ours[1])
        if theirs != ours:
            differences.append(f"{lines!r}:\n  buildah {theirs}\n  ours    {ours}")
    assert not differences, "\n".join(differences)


def check_unpack(world: World):
    """umoci unpacks a changed image, and the digest does not depend on the time zone and the language"""
    lines = "RUN mkdir -p /vault/file && chmod 777 /vault/file && touch /vault/file/x\nENV A=1\n"
    digests = set()
    for number, (zone, language) in enumerate([("UTC", "C"), ("Asia/Tokyo", "de_DE.UTF-8")]):
        name = f"unpacked:{number}"
        copy(world, "oci:all", name, lines, {"TZ": zone, "LANG": language, "LC_ALL": language})
        digests.add(world.plain.get(f"/v2/unpacked/manifests/{number}")[0]["Docker-Content-Digest"])
    assert len(digests) == 1, digests
    layout = world.folder / "unpacked-layout"
    run("skopeo", "--insecure-policy", "--override-arch", "arm64", "copy", "-q", "--src-tls-verify=false",
        f"docker://{world.plain.host}/unpacked:0", f"oci:{layout}:changed")
    bundle = world.folder / "unpacked-bundle"
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:changed", bundle)
    assert (bundle / "rootfs/vault/file").stat().st_mode & 0o7777 == 0o777
    assert (bundle / "rootfs/vault/file/x").read_bytes() == b""
    assert (bundle / "rootfs/bin/busybox").exists()


class Buildah:
    """Buildah with its own storage."""

    def __init__(self, folder: Path):
        self.folder = folder
        policy = folder / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.policy = ["--signature-policy", policy]
        self.storage = ["--root", folder / "root", "--runroot", folder / "run", "--storage-driver", "vfs"]

    def run(self, *command) -> str:
        return run("buildah", *self.storage, *command).decode().strip()

    def build(self, dockerfile: str, number: int):
        """Builds the image. Returns its runtime configuration and the files of its last layer."""
        file = self.folder / "Dockerfile"
        file.write_text(dockerfile)
        context, image = self.folder / "context", self.folder / f"theirs-{number}"
        context.mkdir(exist_ok=True)
        self.run("build", "--isolation", "chroot", "--tls-verify=false", *self.policy, "--format", "docker",
                 "--identity-label=false", "--file", file, "--tag", f"theirs:{number}", context)
        self.run("push", *self.policy, "--format", "v2s2", f"localhost/theirs:{number}", f"dir:{image}")
        manifest = json.loads((image / "manifest.json").read_text())
        blob = lambda descriptor: (image / descriptor["digest"].removeprefix("sha256:")).read_bytes()
        return summary(json.loads(blob(manifest["config"])), [blob(layer) for layer in manifest["layers"]])


def push_base(build: Buildah, registry: Registry, folder: Path):
    """Pushes a base with a shell, in Docker's format, because the OCI format has no health checks."""
    root = folder / "base"
    for path in ["bin", "etc", "tmp", "var/lib", "opt", "srv/base"]:
        (root / path).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    for program in PROGRAMS:
        (root / "bin" / program).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1:1::/:/bin/sh\none:x:2:2::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    container = build.run("from", "scratch")
    build.run("add", "--quiet", container, root, "/")
    build.run("config", "--env", "PATH=/bin", "--env", "BASE=one", "--label", "kept=yes", "--cmd", "serve",
              "--workingdir", "/srv/base", container)
    build.run("commit", *build.policy, "--format", "docker", "--identity-label=false", container, "base")
    build.run("push", *build.policy, "--tls-verify=false", "--format", "v2s2", "localhost/base",
              f"docker://{registry.host}/customize:base")


def customize(world: World, lines: str, number: int):
    """Copies the base with the lines. Returns its runtime configuration and the files of its last layer."""
    copy(world, "customize:base", f"customized:{number}", lines, {})
    _, body = world.plain.get(f"/v2/customized/manifests/{number}")
    manifest = json.loads(body)
    blob = lambda descriptor: world.plain.get(f"/v2/customized/blobs/{descriptor['digest']}")[1]
    return summary(json.loads(blob(manifest["config"])), [blob(layer) for layer in manifest["layers"]])


def unpack(world: World, number: int, entries: dict):
    """Unpacks a changed image with umoci. Checks that the created files exist with their modes."""
    layout, bundle = world.folder / "customized-layout", world.folder / "customized-bundle"
    run("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
        f"docker://{world.plain.host}/customized:{number}", f"oci:{layout}:{number}")
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:{number}", bundle)
    for path, (_, mode, _, _, link, content) in entries.items():
        file = bundle / "rootfs" / path
        if link:
            assert os.readlink(file) == link, file
        else:
            assert oct(file.stat().st_mode & 0o7777) == mode, file
            assert file.is_dir() or file.read_text() == content, file
    shutil.rmtree(bundle)


def copy(world: World, source: str, destination: str, lines: str, variables: dict[str, str]):
    file = world.folder / "Customize"
    file.write_text(lines)
    command = world.command(f"{world.source.host}/{source}", f"{world.plain.host}/{destination}", "--customize", file)
    done = subprocess.run(command, env={**world.environment(), **variables}, capture_output=True, text=True,
                          timeout=TIMEOUT)
    assert done.returncode == 0, f"{lines}: {done.stderr}"


def summary(config: dict, layers: list[bytes]):
    """Returns the configuration and the created files. Both sides must have the same layers of the base."""
    runtime = {name: value for name, value in config["config"].items() if value not in ("", None, [], {}, False)}
    # Buildah writes the host name of the container of `RUN`, and no labels about the base.
    runtime.pop("Hostname", None)
    labels = runtime.get("Labels", {})
    labels = {name: value for name, value in labels.items() if not name.startswith("org.opencontainers.image.base.")}
    runtime["Labels"] = labels
    runtime["Env"] = sorted(runtime.get("Env", []))
    assert len(layers) == len(config["rootfs"]["diff_ids"])
    entries = {}
    for number, layer in enumerate(layers):
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for entry in archive:
                content = archive.extractfile(entry).read().decode(errors="replace") if entry.isfile() else ""
                mode = entry.mode & 0o7777
                path = entry.name.strip("/")
                if number > 0 and path not in IGNORED:
                    entries[path] = (entry.type.decode(), oct(mode), entry.uid, entry.gid, entry.linkname, content)
    volumes = [volume.strip("/") for volume in runtime.get("Volumes", {})]
    return runtime, {path: entry for path, entry in sorted(entries.items())
                     if not is_implied(path, entries, volumes)}


def is_implied(path: str, entries: dict, volumes: list[str]) -> bool:
    """Returns true for a directory that is a volume, or that is created for an entry below it.

    Only buildah writes them to the layer. BuildKit writes no directory for a volume either. Runtimes create it."""
    has_default = entries[path][:4] == ("5", "0o755", 0, 0)
    return has_default and (path in volumes or any(other.startswith(f"{path}/") for other in entries))


# Directories of the base, and files that buildah creates for `RUN`.
IGNORED = {"", "bin", "etc", "tmp", "var", "var/lib", "opt", "srv", "srv/base", "run", "dev", "proc", "sys",
           "etc/hostname", "etc/hosts", "etc/resolv.conf"}

CHECKS = [check_customize, check_unpack]
