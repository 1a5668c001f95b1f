#!/usr/bin/env python3
"""Copies images of other tools between real registries with container-image, and compares them with skopeo.

Usage: run.py PATH-OF-CONTAINER-IMAGE FOLDER-FOR-REGISTRIES

Builds registries that Debian lacks with Go in the folder. Listens only on loopback, and writes other files to a
temporary folder. Exit codes: 0 if all checks passed, 1 if a check failed, 2 if a program is missing.
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
import customized
import function_image
import images
import promotion
import stored_credentials
from registries import build
from world import World

# Required programs with their Debian packages.
REQUIRED = {
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
# Programs without which a check is skipped. The output lists skipped checks.
OPTIONAL = {"podman": "podman"}
CHECKS = copies.CHECKS + promotion.CHECKS + stored_credentials.CHECKS + behavior.CHECKS + function_image.CHECKS
CHECKS += customized.CHECKS


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    program, built = (Path(argument).absolute() for argument in sys.argv[1:])
    missing = sorted({package for command, package in REQUIRED.items() if not shutil.which(command)})
    if missing:
        command = f"apt-get install {' '.join(missing)}"
        print(f"interop needs missing programs: {command}", file=sys.stderr)
        return 2
    if not build(built):
        print("interop needs Go 1.25 or newer to build registries (https://go.dev/dl/)", file=sys.stderr)
        return 2
    absent = sorted(package for command, package in OPTIONAL.items() if not shutil.which(command))
    if absent:
        print(f"some checks are skipped; to run them: apt-get install {' '.join(absent)}")
    tools = ["docker-registry", "skopeo", "umoci", "buildah", *(tool for tool in OPTIONAL if shutil.which(tool))]
    for tool in tools:
        print(images.run(tool, "--version").decode().splitlines()[0])
    failed, skipped = 0, stored_credentials.unavailable()
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        # Hides the credentials and settings of the user.
        os.environ["HOME"] = folder
        os.environ.pop("REGISTRY_AUTH_FILE", None)
        world = World(Path(folder), str(program), built)
        try:
            for check, reason in skipped.items():
                print(f"NOT CHECKED  {check.__doc__}: {reason}")
            for check in (check for check in CHECKS if check not in skipped):
                failed += not passes(check, world)
        finally:
            world.stop()
    suffix = f", {len(skipped)} NOT CHECKED" if skipped else ""
    print(f"{len(CHECKS) - failed - len(skipped)} passed, {failed} failed{suffix}")
    return 1 if failed else 0


def passes(check, world: World) -> bool:
    started = time.monotonic()
    try:
        check(world)
    except Exception:  # Any exception fails the check. The other checks still run.
        print(f"FAILED  {check.__doc__}")
        traceback.print_exc()
        return False
    print(f"ok      {check.__doc__} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
