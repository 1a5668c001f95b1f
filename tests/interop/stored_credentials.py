"""Checks of credentials that other programs have stored: skopeo, podman and Docker's credential helper for pass."""

import json
import shutil
import subprocess
from pathlib import Path

import comparison
from images import run
from world import LOGIN, TIMEOUT, World

# Hides the machine's own logins. Without XDG_RUNTIME_DIR, tools keep logins in /run/containers/UID.
PRIVATE_RUN = ["unshare", "--map-root-user", "--mount", "sh", "-c",
               'mkdir -p /run/containers && mount -t tmpfs none /run/containers && exec "$@"', "sh"]


def check_skopeo_login(world: World):
    """a login by skopeo login: with XDG_RUNTIME_DIR, without it, and in the file of REGISTRY_AUTH_FILE"""
    check_logins_of("skopeo", world)


def check_podman_login(world: World):
    """a login by podman login: with XDG_RUNTIME_DIR, without it, and in the file of REGISTRY_AUTH_FILE"""
    check_logins_of("podman", world)


def check_logins_of(tool: str, world: World):
    for place in ["XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", None]:
        folder = world.folder / f"{tool}-{place}"
        folder.mkdir()
        environment = without_logins(world, folder)
        if place:
            environment[place] = str(folder / "auth.json" if place == "REGISTRY_AUTH_FILE" else folder)
        copied_after(login_command(tool, world), f"{tool}-{place}".lower(), world, environment,
                     [] if place else PRIVATE_RUN)


def login_command(tool: str, world: World) -> str:
    return (f"printf %s '{LOGIN[1]}' | {tool} login --cert-dir '{world.authority.folder}' "
            f"--username '{LOGIN[0]}' --password-stdin {world.private.host} >&2")


def check_pass(world: World):
    """a login that Docker's credential helper keeps in pass"""
    folder = world.folder / "pass"
    gnupg = folder / "gnupg"
    gnupg.mkdir(parents=True, mode=0o700)
    environment = without_logins(world, folder)
    environment |= {"GNUPGHOME": str(gnupg), "PASSWORD_STORE_DIR": str(folder / "store"),
                    "DOCKER_CONFIG": str(folder), "PATH": f"{world.built}:{environment['PATH']}"}
    (folder / "config.json").write_text(json.dumps({"auths": {world.private.host: {}}, "credsStore": "pass"}))
    try:
        run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "interop@example.com",
            env=environment)
        run("pass", "init", "interop@example.com", env=environment)
        entry = json.dumps({"ServerURL": world.private.host, "Username": LOGIN[0], "Secret": LOGIN[1]})
        run("docker-credential-pass", "store", input=entry.encode(), env=environment)
        assert any((folder / "store").rglob("*.gpg")), "the helper has stored nothing"
        copied_after("true", "kept-in-pass", world, environment, [])
    finally:
        run("gpgconf", "--kill", "gpg-agent", env=environment)


def without_logins(world: World, folder: Path) -> dict[str, str]:
    """The environment of a user who has not logged in anywhere."""
    environment = world.environment(folder)
    del environment["DOCKER_CONFIG"]
    return {**environment, "HOME": str(folder)}


def copied_after(login: str, name: str, world: World, environment: dict[str, str], prefix: list[str]):
    """Copies from the private registry, first without the login, which fails, and then after `login`."""
    origin = f"{world.private.host}/{name}:1"
    trusted = ["--certificate-authority", str(world.authority.certificate)]
    world.copied(f"{world.source.host}/oci:arm64", origin, *trusted)
    copy = world.command(origin, f"{world.plain.host}/{name}:1", *trusted)
    options = {"env": environment, "capture_output": True, "text": True, "timeout": TIMEOUT}
    if login != "true":
        done = subprocess.run([*prefix, *copy], **options)
        assert done.returncode == 1 and not world.plain.has(name, "1"), done
    done = subprocess.run([*prefix, "sh", "-c", f'{login} && exec "$@"', "sh", *copy], **options)
    assert done.returncode == 0, done.stderr
    comparison.check_same(world.source, "oci:arm64", world.plain, f"{name}:1")


def unavailable() -> dict:
    """Checks that this machine cannot run, with the reason."""
    missing = {}
    if not shutil.which("podman"):
        missing[check_podman_login] = "podman is not installed: apt-get install podman"
    return missing


CHECKS = [check_skopeo_login, check_podman_login, check_pass]
