#!/usr/bin/env python3
"""Copies images that other tools made between real registries with container-image, and has skopeo
judge what arrived.

Usage: run.py PATH-OF-CONTAINER-IMAGE

Listens on loopback only, writes to a temporary folder only, and ends by itself. Exits 0 when every
check passed, 1 when one failed, 2 when a program is missing.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from base64 import b64encode
from pathlib import Path

import images
import judge
from registries import Authority, Registry
from stall import StallingFront

# Program and the Debian package that has it.
NEEDED = {
    "docker-registry": "docker-registry",
    "skopeo": "skopeo",
    "umoci": "umoci",
    "buildah": "buildah",
    "busybox": "busybox-static",
    "htpasswd": "apache2-utils",
    "openssl": "openssl",
}
LOGIN = ("robot", "correct horse: battery")
TIMEOUT = 60


class World:
    """The registries and images that the checks share."""

    def __init__(self, folder: Path, program: str):
        self.folder, self.program = folder, program
        self.registries: list[Registry] = []
        self.authority = Authority(folder / "authority")
        self.source = self.registry("source")
        self.plain = self.registry("plain")
        self.tls = self.registry("tls", self.authority)
        self.private = self.registry("private", self.authority, LOGIN)
        layout = images.pack(folder)
        for flavour in ["oci", "v2s2"]:
            images.push(layout, self.source, flavour)
            storage = folder / f"buildah-{flavour}"
            storage.mkdir()
            images.list_by_buildah(self.source, flavour, storage)
        images.list_by_hand(self.source, "by-hand")
        self.logins = self.login_file("right", self.private, LOGIN)
        self.wrong_logins = self.login_file("wrong", self.private, (LOGIN[0], "wrong-password"))

    def registry(self, name: str, authority=None, login=None) -> Registry:
        registry = Registry(self.folder / name, authority, login)
        self.registries.append(registry)
        return registry

    def login_file(self, name: str, registry: Registry, login: tuple[str, str]) -> Path:
        folder = self.folder / f"docker-{name}"
        folder.mkdir()
        auth = b64encode(":".join(login).encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
        return folder

    def stop(self):
        for registry in self.registries:
            registry.stop()

    def command(self, source: str, destination: str, *options) -> list[str]:
        return [self.program, "copy", source, "--to", destination, *map(str, options)]

    def environment(self, logins: Path | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ["PATH", "LANG"] if name in os.environ}
        return {**kept, "HOME": str(self.folder), "DOCKER_CONFIG": str(logins or self.logins)}

    def copy(self, source: str, destination: str, *options, logins: Path | None = None):
        return subprocess.run(self.command(source, destination, *options), env=self.environment(logins),
                              capture_output=True, text=True, timeout=TIMEOUT)

    def copied(self, source: str, destination: str, *options) -> str:
        """Copies, and gives the line of outcome."""
        done = self.copy(source, destination, *options)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
        said = done.stdout + done.stderr
        assert said.count("\n") == 1 and not done.stderr, f"more than an outcome: {said}"
        return done.stdout

    def refused(self, expected: str, *arguments, **options) -> str:
        """Copies in vain, and checks that one line says what to change."""
        done = self.copy(*arguments, **options)
        assert done.returncode == 1, f"exit {done.returncode}: {done.stdout}"
        assert not done.stdout and done.stderr.count("\n") == 1, f"not one line: {done.stdout}{done.stderr}"
        assert expected in done.stderr and len(done.stderr) <= 410, f"{expected!r} is not in: {done.stderr}"
        no_secret_in(done.stderr)
        return done.stderr


def no_secret_in(text: str):
    for password in [LOGIN[1], "wrong-password"]:
        for secret in [password, b64encode(f"{LOGIN[0]}:{password}".encode()).decode()]:
            assert secret not in text, f"a secret shows in: {text}"


def check_formats(world: World, destination: Registry, *options):
    """Every format, single images and lists, arrives as it was."""
    for name in ["oci:amd64", "v2s2:arm64", "oci:all", "v2s2:all", "oci:by-hand"]:
        world.copied(f"{world.source.host}/{name}", f"{destination.host}/copies/{name}", *options)
        judge.same(world.source, name, destination, f"copies/{name}")


def check_plain_http(world: World):
    """every format over plain HTTP"""
    check_formats(world, world.plain)


def check_tls(world: World):
    """every format to a registry with TLS by an authority of its own"""
    check_formats(world, world.tls, "--certificate-authority", world.authority.certificate)


def check_plain_http_elsewhere(world: World):
    """plain HTTP to another machine only when its host is named"""
    front = StallingFront(world.source)
    front.may_go_on.set()
    try:
        proxy = {"HTTP_PROXY": f"http://{front.host}", "HTTPS_PROXY": f"http://{front.host}"}
        environment = {**world.environment(), **proxy, "NO_PROXY": "127.0.0.1"}
        command = world.command("registry.example/oci:amd64", f"{world.plain.host}/elsewhere:1")
        options = {"env": environment, "capture_output": True, "text": True, "timeout": TIMEOUT}
        done = subprocess.run(command, **options)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert not front.stalled.is_set() and not world.plain.has("elsewhere", "1")
        done = subprocess.run([*command, "--plain-http", "registry.example"], **options)
        assert done.returncode == 0, done.stderr
        judge.same(world.source, "oci:amd64", world.plain, "elsewhere:1")
    finally:
        front.stop()


def check_login(world: World):
    """every format to a registry that wants a login, and from there to another"""
    trusted = ["--certificate-authority", world.authority.certificate]
    check_formats(world, world.private, *trusted)
    world.copied(f"{world.private.host}/copies/oci:all", f"{world.plain.host}/from/private:all", *trusted)
    judge.same(world.private, "copies/oci:all", world.plain, "from/private:all")


def check_credential_helper(world: World):
    """a login from a credential helper"""
    folder, programs = world.folder / "docker-helper", world.folder / "programs"
    folder.mkdir(), programs.mkdir()
    (folder / "config.json").write_text(json.dumps({"credHelpers": {world.private.host: "interop"}}))
    helper = programs / "docker-credential-interop"
    answer = json.dumps({"ServerURL": "", "Username": LOGIN[0], "Secret": LOGIN[1]})
    helper.write_text(f"#!/bin/sh\n[ \"$1\" = get ] && cat <<'END'\n{answer}\nEND\n")
    helper.chmod(0o755)
    environment = world.environment(folder)
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    command = world.command(f"{world.source.host}/oci:arm64", f"{world.private.host}/helped:1",
                            "--certificate-authority", world.authority.certificate)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    judge.same(world.source, "oci:arm64", world.private, "helped:1")


def check_platform(world: World):
    """one platform of a list, under the source's own tag"""
    for flavour in ["oci", "v2s2"]:
        world.copied(f"{world.source.host}/{flavour}:all", f"{world.plain.host}/one/{flavour}",
                     "--platform", "linux/arm64")
        judge.same(world.source, f"{flavour}:arm64", world.plain, f"one/{flavour}:all")
        inspected = images.run("skopeo", "--insecure-policy", "inspect", "--config", "--tls-verify=false",
                               f"docker://{world.plain.host}/one/{flavour}:all")
        assert json.loads(inspected)["architecture"] == "arm64"


def check_digest(world: World):
    """a reference with a digest: what is copied, whatever the tag names"""
    headers, _ = world.source.get("/v2/oci/manifests/amd64")
    pinned = f"{world.source.host}/oci:all@{headers['Docker-Content-Digest']}"
    line = world.copied(pinned, f"{world.plain.host}/pinned")
    assert headers["Docker-Content-Digest"] in line, line
    judge.same(world.source, "oci:amd64", world.plain, "pinned:all")


def check_second_copy(world: World):
    """the second copy moves no blob and writes nothing"""
    arguments = [f"{world.source.host}/oci:all", f"{world.plain.host}/twice:all"]
    assert re.search(r": [1-9]\d* blobs copied", world.copied(*arguments))
    before = [(registry, len(registry.requests())) for registry in [world.source, world.plain]]
    line = world.copied(*arguments)
    assert ": 0 blobs copied" in line and "nothing to do" in line, line
    (from_source, to_destination) = [registry.requests()[seen:] for registry, seen in before]
    assert all(method == "HEAD" or path == "/v2/" for method, path in from_source), from_source
    assert all(method in ["GET", "HEAD"] for method, _ in to_destination), to_destination


def check_mount(world: World):
    """between repositories of one registry, blobs are mounted and not read"""
    world.copied(f"{world.source.host}/oci:all", f"{world.plain.host}/here:all")
    before = len(world.plain.requests())
    world.copied(f"{world.plain.host}/here:all", f"{world.plain.host}/there:all")
    requests = world.plain.requests()[before:]
    moved = [request for request in requests if request[0] in ["PATCH", "PUT"] and "/blobs/" in request[1]]
    assert not moved, moved
    judge.same(world.source, "oci:all", world.plain, "there:all")


def check_dry_run(world: World):
    """a dry run says what it would do, and does nothing"""
    before = len(world.plain.requests())
    done = world.copy(f"{world.source.host}/oci:all", f"{world.plain.host}/dry:1", "--dry-run")
    quiet = world.copy(f"{world.source.host}/oci:all", f"{world.plain.host}/dry:1", "--dry-run", "--quiet")
    assert quiet.stdout == done.stdout, quiet
    assert done.returncode == 0 and "linux/amd64, linux/arm64" in done.stdout, done
    assert all(method in ["GET", "HEAD"] for method, _ in world.plain.requests()[before:])
    assert not world.plain.has("dry", "1")


def check_lost_output(world: World):
    """a result that cannot be written is exit code 1 and one line"""
    images_named = [f"{world.source.host}/oci:amd64", f"{world.plain.host}/lost:1"]
    for command in [[world.program, "--help"], [world.program, "copy", "--help"], [world.program, "--version"],
                    world.command(*images_named, "--dry-run"), world.command(*images_named)]:
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, env=world.environment(), stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=TIMEOUT)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert "standard output cannot be written" in done.stderr, done
    assert "the image was copied" in done.stderr and world.plain.has("lost", "1"), done


def check_failures(world: World):
    """what cannot be copied is told in one line, exit code 1"""
    source, plain = world.source.host, world.plain.host
    trusted = ["--certificate-authority", world.authority.certificate]
    private = f"{world.private.host}/oci:1"
    world.refused("Log in again", f"{source}/oci:all", private, *trusted, logins=world.wrong_logins)
    world.refused("log in: docker login", f"{source}/oci:all", private, *trusted, logins=world.folder / "none")
    world.refused("log in: docker login", private, f"{plain}/x:1", *trusted, logins=world.folder / "none")
    world.refused("Check the spelling of SOURCE", f"{source}/oci:missing", f"{plain}/x:1")
    world.refused("Check the spelling of SOURCE", f"{source}/missing:1", f"{plain}/x:1")
    world.refused("Change --platform", f"{source}/oci:all", f"{plain}/x:1", "--platform", "linux/s390x")
    world.refused("Change --platform", f"{source}/oci:amd64", f"{plain}/x:1", "--platform", "linux/arm64")
    world.refused("--certificate-authority", f"{source}/oci:all", f"{world.tls.host}/x:1")
    # The host was given, so that TLS is not even tried.
    world.refused(f"Leave out --plain-http {world.tls.host}", f"{source}/oci:all", f"{world.tls.host}/x:1",
                  "--plain-http", world.tls.host, *trusted)
    assert not world.plain.has("x", "1")


def check_verbose(world: World):
    """--verbose tells more, and no secret"""
    arguments = [f"{world.source.host}/oci:arm64", f"{world.private.host}/verbose:1", "--verbose",
                 "--certificate-authority", world.authority.certificate]
    failed = world.copy(*arguments, logins=world.wrong_logins)
    assert failed.returncode == 1 and "while" in failed.stderr and "request: " in failed.stderr, failed.stderr
    done = world.copy(*arguments)
    assert done.returncode == 0 and "tag moved" in done.stderr, done.stderr
    assert 0 < done.stderr.count("blob to copy") == done.stderr.count("blob copied"), done.stderr
    no_secret_in(failed.stderr + done.stderr)
    quiet = world.copy(*arguments[:2], "--quiet", *arguments[3:])
    assert quiet.returncode == 0 and not quiet.stdout + quiet.stderr, quiet


def check_usage(world: World):
    """what was typed wrongly is exit code 2"""
    wrong = [["a", "--to", "https://b"], ["a"], ["a", "--to", "b", "--platform", "linux"], ["A", "--to", "b"]]
    for arguments in wrong:
        done = subprocess.run([world.program, "copy", *arguments], capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 2 and done.stderr.startswith("error:"), done


def check_interrupt(world: World):
    """Ctrl-C or SIGTERM in the middle of a blob: a bar until then, one line, no tag; then again"""
    for signal_sent, code, word in [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]:
        ended_by(world, signal_sent, code, word)


def ended_by(world: World, signal_sent: int, code: int, word: str):
    front = StallingFront(world.source)
    arguments = [f"{front.host}/oci:all", f"{world.plain.host}/{word}:1"]
    master, terminal = pty.openpty()
    try:
        child = subprocess.Popen(world.command(*arguments), env={**world.environment(), "TERM": "xterm"},
                                 stdout=subprocess.PIPE, stderr=terminal)
        os.close(terminal)
        assert front.stalled.wait(TIMEOUT), "no blob was asked for"
        bar = read_until(master, "blobs")
        assert "MiB" in bar, bar
        child.send_signal(signal_sent)
        output, _ = child.communicate(timeout=TIMEOUT)
        said = read_until(master, word)
        assert child.returncode == code and not output, (child.returncode, output, said)
        assert f"{word}: the tag" in said and "was not written" in said, said
        assert not world.plain.has(word, "1")
        front.may_go_on.set()
        world.copied(*arguments)
        judge.same(world.source, "oci:all", world.plain, f"{word}:1")
    finally:
        os.close(master)
        front.stop()


def read_until(terminal: int, expected: str) -> str:
    """What a terminal shows until `expected` is among it."""
    shown = ""
    while expected not in shown and select.select([terminal], [], [], TIMEOUT)[0]:
        shown += os.read(terminal, 65536).decode()
    assert expected in shown, f"{expected!r} does not show: {shown!r}"
    return shown


CHECKS = [
    check_plain_http, check_plain_http_elsewhere, check_tls, check_login, check_credential_helper,
    check_platform, check_digest, check_second_copy, check_mount, check_dry_run, check_lost_output,
    check_failures, check_verbose, check_usage, check_interrupt,
]


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if missing:
        command = f"apt-get install {' '.join(missing)}"
        print(f"interop needs programs that are not installed: {command}", file=sys.stderr)
        return 2
    for tool in ["docker-registry", "skopeo", "umoci", "buildah"]:
        print(images.run(tool, "--version").decode().splitlines()[0])
    failed = 0
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        # Neither the logins nor the settings of whoever runs this.
        os.environ["HOME"] = folder
        os.environ.pop("REGISTRY_AUTH_FILE", None)
        world = World(Path(folder), os.path.abspath(sys.argv[1]))
        try:
            for check in CHECKS:
                failed += not passes(check, world)
        finally:
            world.stop()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
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
