"""The registries and images that the checks share, and the program under test."""

import json
import os
import subprocess
from base64 import b64encode
from pathlib import Path

import images
from registries import Authority, ReferrersRegistry, Registry

LOGIN = ("robot", "correct horse: battery")
TIMEOUT = 60


class World:
    """The registries and images that the checks share."""

    def __init__(self, folder: Path, program: str, built: Path):
        self.folder, self.program, self.built = folder, program, built
        self.registries: list[Registry] = []
        self.authority = Authority(folder / "authority")
        self.source = self.registry("source")
        self.plain = self.registry("plain")
        self.tls = self.registry("tls", self.authority)
        self.private = self.registry("private", self.authority, LOGIN)
        self.newest = self.registry("newest", self.authority, LOGIN, program=built / "distribution-3")
        self.referring = ReferrersRegistry(folder / "referring", program=built / "referrers-registry")
        self.registries.append(self.referring)
        layout = images.pack(folder)
        for flavour in ["oci", "v2s2"]:
            images.push(layout, self.source, flavour)
            storage = folder / f"buildah-{flavour}"
            storage.mkdir()
            images.list_by_buildah(self.source, flavour, storage)
        images.list_by_hand(self.source, "by-hand")
        self.logins = self.login_file("right", LOGIN)
        self.wrong_logins = self.login_file("wrong", (LOGIN[0], "wrong-password"))

    def registry(self, name: str, authority=None, login=None, **options) -> Registry:
        registry = Registry(self.folder / name, authority, login, **options)
        self.registries.append(registry)
        return registry

    def login_file(self, name: str, login: tuple[str, str]) -> Path:
        folder = self.folder / f"docker-{name}"
        folder.mkdir()
        auth = b64encode(":".join(login).encode()).decode()
        logins = {registry.host: {"auth": auth} for registry in [self.private, self.newest]}
        (folder / "config.json").write_text(json.dumps({"auths": logins}))
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
