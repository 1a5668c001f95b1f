#!/usr/bin/env python3
"""Compares container-image with crane and skopeo. Each run copies an image of random layers from one
docker-registry to a new one, over TLS on loopback. The tools alternate, so that other load affects all of
them. Prints medians, and ratios to the better of the other two.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "interop"))

from registries import MANIFEST_TYPES, CertificateAuthority, Registry  # noqa: E402

CRANE = "github.com/google/go-containerregistry/cmd/crane@latest"
OURS = "container-image"
NAME = "bench/image:1"


@dataclass
class Run:
    wall: float
    cpu: float


def main() -> int:
    arguments = parse()
    missing = [tool for tool in ["docker-registry", "skopeo", "openssl"] if not shutil.which(tool)]
    if missing or not (arguments.crane or shutil.which("go")):
        print(f"missing programs: {', '.join(missing) or 'go'} (Debian packages docker-registry, skopeo, openssl, "
              "golang-go)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        folder = Path(name)
        crane = os.path.abspath(arguments.crane) if arguments.crane else install_crane(folder)
        show_versions(arguments.program, crane)
        ca = CertificateAuthority(folder / "ca")
        source = Registry(folder / "source", ca)
        try:
            digest = push(source, arguments.layers, arguments.mib)
            commands = tools(os.path.abspath(arguments.program), crane, ca)
            results = {tool: [] for tool in commands}
            for turn in range(arguments.runs):
                for tool, command in commands.items():
                    run = measure(folder, ca, source, digest, command)
                    results[tool].append(run)
                    print(f"run {turn + 1}  {tool:15} {run.wall:6.2f} s wall  {run.cpu:6.2f} s CPU", flush=True)
        finally:
            source.stop()
    print_medians(results, arguments)
    return 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="release build of container-image")
    parser.add_argument("--crane", help="path of crane; by default it is installed with go install")
    parser.add_argument("--runs", type=int, default=5, help="number of runs of each tool")
    parser.add_argument("--layers", type=int, default=6, help="number of layers")
    parser.add_argument("--mib", type=int, default=100, help="size of a layer in MiB")
    parser.add_argument("--folder", help="folder for the registries' files")
    return parser.parse_args()


def install_crane(folder: Path) -> str:
    environment = {**os.environ, "GOBIN": str(folder / "bin"), "GOFLAGS": "-modcacherw"}
    subprocess.run(["go", "install", CRANE], env=environment, check=True)
    return str(folder / "bin" / "crane")


def show_versions(program: str, crane: str):
    commands = [[crane, "version"], *([tool, "--version"] for tool in [program, "skopeo", "docker-registry"])]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{Path(command[0]).name}: {done.stdout.strip()}")


def tools(program: str, crane: str, ca: CertificateAuthority) -> dict:
    """Returns the command of each tool for two references."""
    certificates = ca.folder
    return {
        OURS: lambda a, b: [program, "copy", a, "--to", b, "--ca-file", str(ca.certificate)],
        "crane": lambda a, b: [crane, "copy", a, b],
        "skopeo": lambda a, b: ["skopeo", "--insecure-policy", "copy", "-q", "--preserve-digests",
                                "--src-cert-dir", str(certificates), "--dest-cert-dir", str(certificates),
                                f"docker://{a}", f"docker://{b}"],
    }


def push(registry: Registry, layers: int, mib: int) -> str:
    """Pushes an image of random layers. Returns its digest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", **put_blob(registry, config.encode())},
        "layers": [{"mediaType": f"{kind}.layer.v1.tar", **put_blob(registry, os.urandom(mib << 20))}
                   for _ in range(layers)],
    }
    content = json.dumps(manifest).encode()
    repository, tag = NAME.split(":")
    registry.send("PUT", f"/v2/{repository}/manifests/{tag}", content, MANIFEST_TYPES[2])
    return "sha256:" + hashlib.sha256(content).hexdigest()


def put_blob(registry: Registry, content: bytes) -> dict:
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    registry.put_blob(NAME.split(":")[0], digest, content)
    return {"digest": digest, "size": len(content)}


def measure(folder: Path, ca: CertificateAuthority, source: Registry, digest: str, command) -> Run:
    """Measures one copy into an empty registry."""
    destination = Registry(folder / "destination", ca)
    try:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            # CA certificates of Go programs and of container-image.
            "SSL_CERT_FILE": str(ca.certificate),
        }
        log = folder / "output"
        start = time.monotonic()
        with log.open("wb") as output:
            child = subprocess.Popen(command(f"{source.host}/{NAME}", f"{destination.host}/{NAME}"),
                                     env=environment, stdout=output, stderr=output)
            _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, f"{child.args}: exit {child.returncode}: {log.read_text()}"
        repository, tag = NAME.split(":")
        headers, _ = destination.get(f"/v2/{repository}/manifests/{tag}")
        assert headers["Docker-Content-Digest"] == digest, f"{child.args}: the copy has another digest"
        return Run(wall, usage.ru_utime + usage.ru_stime)
    finally:
        destination.stop()
        shutil.rmtree(destination.folder)


def print_medians(results: dict, arguments):
    layers = f"{arguments.layers} layers of {arguments.mib} MiB"
    print(f"\n{layers}, median of {arguments.runs}, {os.cpu_count()} cores")
    medians = {}
    for tool, runs in results.items():
        wall, cpu = (statistics.median(values) for values in zip(*((run.wall, run.cpu) for run in runs)))
        medians[tool] = (wall, cpu)
        print(f"{tool:15} {wall:6.2f} s wall  {cpu:6.2f} s CPU")
    for index, what in [(0, "wall-clock time"), (1, "CPU time")]:
        better = min(value[index] for tool, value in medians.items() if tool != OURS)
        print(f"{what}: {medians[OURS][index] / better:.2f} of the better of the others")


if __name__ == "__main__":
    sys.exit(main())
