"""Checks of credentials that other programs have stored: skopeo, podman and Docker's credential helper for pass."""

import json
import shutil
import subprocess
from pathlib import Path

import comparison
from images import run
from world import CREDENTIALS, TIMEOUT, World

# Hides the machine's own credentials. Without XDG_RUNTIME_DIR, tools store credentials in /run/containers/UID.
PRIVATE_RUN = ["unshare", "--map-root-user", "--mount", "sh", "-c",
               'mkdir -p /run/containers && mount -t tmpfs none /run/containers && exec "$@"', "sh"]


def check_skopeo_login(world: World):
    """credentials of skopeo login: with XDG_RUNTIME_DIR, without it, and in REGISTRY_AUTH_FILE"""
    check_login_of("skopeo", world)


def check_podman_login(world: World):
    """credentials of podman login: with XDG_RUNTIME_DIR, without it, and in REGISTRY_AUTH_FILE"""
    check_login_of("podman", world)


def check_login_of(tool: str, world: World):
    for variable in ["XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", None]:
        folder = world.folder / f"{tool}-{variable}"
        folder.mkdir()
        environment = without_credentials(world, folder)
        if variable:
            environment[variable] = str(folder / "auth.json" if variable == "REGISTRY_AUTH_FILE" else folder)
        check_copy_after(login_command(tool, world), f"{tool}-{variable}".lower(), world, environment,
                     [] if variable else PRIVATE_RUN)


def login_command(tool: str, world: World) -> str:
    return (f"printf %s '{CREDENTIALS[1]}' | {tool} login --cert-dir '{world.ca.folder}' "
            f"--username '{CREDENTIALS[0]}' --password-stdin {world.private.host} >&2")


def check_pass(world: World):
    """credentials in pass, with Docker's credential helper"""
    folder = world.folder / "pass"
    gnupg = folder / "gnupg"
    gnupg.mkdir(parents=True, mode=0o700)
    environment = without_credentials(world, folder)
    environment |= {"GNUPGHOME": str(gnupg), "PASSWORD_STORE_DIR": str(folder / "store"),
                    "DOCKER_CONFIG": str(folder), "PATH": f"{world.built}:{environment['PATH']}"}
    (folder / "config.json").write_text(json.dumps({"auths": {world.private.host: {}}, "credsStore": "pass"}))
    try:
        run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "interop@example.com",
            env=environment)
        run("pass", "init", "interop@example.com", env=environment)
        entry = json.dumps({"ServerURL": world.private.host, "Username": CREDENTIALS[0], "Secret": CREDENTIALS[1]})
        run("docker-credential-pass", "store", input=entry.encode(), env=environment)
        assert any((folder / "store").rglob("*.gpg")), "the helper stored nothing"
        check_copy_after("true", "stored-in-pass", world, environment, [])
    finally:
        run("gpgconf", "--kill", "gpg-agent", env=environment)


def without_credentials(world: World, folder: Path) -> dict[str, str]:
    """Returns the environment of a user without credentials."""
    environment = world.environment(folder)
    del environment["DOCKER_CONFIG"]
    return {**environment, "HOME": str(folder)}


def check_copy_after(login: str, name: str, world: World, environment: dict[str, str], prefix: list[str]):
    """Copies from the private registry. Without credentials this fails. After the command `login` it succeeds."""
    origin = f"{world.private.host}/{name}:1"
    trusted = ["--ca-file", str(world.ca.certificate)]
    world.check_copy(f"{world.source.host}/oci:arm64", origin, *trusted)
    copy = world.command(origin, f"{world.plain.host}/{name}:1", *trusted)
    options = {"env": environment, "capture_output": True, "text": True, "timeout": TIMEOUT}
    if login != "true":
        done = subprocess.run([*prefix, *copy], **options)
        assert done.returncode == 1 and not world.plain.has(name, "1"), done
    done = subprocess.run([*prefix, "sh", "-c", f'{login} && exec "$@"', "sh", *copy], **options)
    assert done.returncode == 0, done.stderr
    comparison.check_same(world.source, "oci:arm64", world.plain, f"{name}:1")


def unavailable() -> dict:
    """Returns the checks that cannot run on this machine, with the reasons."""
    missing = {}
    if not shutil.which("podman"):
        missing[check_podman_login] = "podman is not installed: apt-get install podman"
    return missing


CHECKS = [check_skopeo_login, check_podman_login, check_pass]
