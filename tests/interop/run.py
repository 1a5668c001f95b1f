#!/usr/bin/env python3
"""Copies images that other tools made between real registries with container-image, and has skopeo
judge what arrived.

Usage: run.py PATH-OF-CONTAINER-IMAGE FOLDER-FOR-REGISTRIES

Registries that Debian does not have are built with Go into the folder if they are missing. It listens on
loopback only, writes elsewhere to a temporary folder only, and ends by itself. Exits 0 when every check
passed, 1 when one failed, 2 when a program is missing.
"""

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import behavior
import copies
import function_image
import images
import promotion
import stored_credentials
from registries import build
from world import World

# Program and the Debian package that has it.
NEEDED = {
    "docker-registry": "docker-registry",
    "skopeo": "skopeo",
    "umoci": "umoci",
    "buildah": "buildah",
    "busybox": "busybox-static",
    "htpasswd": "apache2-utils",
    "openssl": "openssl",
    "gpg": "gnupg",
    "pass": "pass",
    "unshare": "util-linux",
}
# Programs without which a check is left out, which the output says.
OPTIONAL = {"podman": "podman"}
CHECKS = copies.CHECKS + promotion.CHECKS + stored_credentials.CHECKS + behavior.CHECKS + function_image.CHECKS


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    program, built = (Path(argument).absolute() for argument in sys.argv[1:])
    missing = sorted({package for command, package in NEEDED.items() if not shutil.which(command)})
    if missing:
        command = f"apt-get install {' '.join(missing)}"
        print(f"interop needs programs that are not installed: {command}", file=sys.stderr)
        return 2
    if not build(built):
        print("interop needs Go 1.25 or newer, which builds registries and a credential helper (https://go.dev/dl/)", file=sys.stderr)
        return 2
    absent = sorted(package for command, package in OPTIONAL.items() if not shutil.which(command))
    if absent:
        print(f"some checks are left out without: apt-get install {' '.join(absent)}")
    tools = ["docker-registry", "skopeo", "umoci", "buildah", *(tool for tool in OPTIONAL if shutil.which(tool))]
    for tool in tools:
        print(images.run(tool, "--version").decode().splitlines()[0])
    failed, left_out = 0, stored_credentials.unavailable()
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        # Neither the logins nor the settings of whoever runs this.
        os.environ["HOME"] = folder
        os.environ.pop("REGISTRY_AUTH_FILE", None)
        world = World(Path(folder), str(program), built)
        try:
            for check, reason in left_out.items():
                print(f"NOT CHECKED  {check.__doc__}: {reason}")
            for check in (check for check in CHECKS if check not in left_out):
                failed += not passes(check, world)
        finally:
            world.stop()
    left = f", {len(left_out)} NOT CHECKED" if left_out else ""
    print(f"{len(CHECKS) - failed - len(left_out)} passed, {failed} failed{left}")
    return 1 if failed else 0


def passes(check, world: World) -> bool:
    started = time.monotonic()
    try:
        check(world)
    except Exception:  # Whatever goes wrong in a check is its failure; the others still run.
        print(f"FAILED  {check.__doc__}")
        traceback.print_exc()
        return False
    print(f"ok      {check.__doc__} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
