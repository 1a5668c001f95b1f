"""The registries and images that the checks share, and the program under test."""

import json
import os
import subprocess
from base64 import b64encode
from pathlib import Path

import images
from registries import CertificateAuthority, ReferrersRegistry, Registry

CREDENTIALS = ("robot", "correct horse: battery")
# Timeout of a command in seconds.
TIMEOUT = 60


class World:
    """The registries and images that the checks share."""

    def __init__(self, folder: Path, program: str, built: Path):
        self.folder, self.program, self.built = folder, program, built
        self.registries: list[Registry] = []
        self.ca = CertificateAuthority(folder / "ca")
        self.source = self.registry("source")
        self.plain = self.registry("plain")
        self.tls = self.registry("tls", self.ca)
        self.private = self.registry("private", self.ca, CREDENTIALS)
        self.newest = self.registry("newest", self.ca, CREDENTIALS, program=built / "distribution-3")
        self.referring = ReferrersRegistry(folder / "referring", program=built / "referrers-registry")
        self.registries.append(self.referring)
        layout = images.pack(folder)
        for manifest_format in ["oci", "v2s2"]:
            images.push(layout, self.source, manifest_format)
            storage = folder / f"buildah-{manifest_format}"
            storage.mkdir()
            images.push_index_with_buildah(self.source, manifest_format, storage)
        images.push_handwritten_index(self.source, "by-hand")
        self.credentials = self.config_folder("right", CREDENTIALS)
        self.wrong_credentials = self.config_folder("wrong", (CREDENTIALS[0], "wrong-password"))

    def registry(self, name: str, ca=None, credentials=None, **options) -> Registry:
        registry = Registry(self.folder / name, ca, credentials, **options)
        self.registries.append(registry)
        return registry

    def config_folder(self, name: str, credentials: tuple[str, str]) -> Path:
        folder = self.folder / f"docker-{name}"
        folder.mkdir()
        auth = b64encode(":".join(credentials).encode()).decode()
        auths = {registry.host: {"auth": auth} for registry in [self.private, self.newest]}
        (folder / "config.json").write_text(json.dumps({"auths": auths}))
        return folder

    def stop(self):
        for registry in self.registries:
            registry.stop()

    def command(self, source: str, destination: str, *options) -> list[str]:
        return [self.program, "copy", source, "--to", destination, *map(str, options)]

    def environment(self, credentials: Path | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ["PATH", "LANG"] if name in os.environ}
        return {**kept, "HOME": str(self.folder), "DOCKER_CONFIG": str(credentials or self.credentials)}

    def copy(self, source: str, destination: str, *options, credentials: Path | None = None):
        return subprocess.run(self.command(source, destination, *options), env=self.environment(credentials),
                              capture_output=True, text=True, timeout=TIMEOUT)

    def check_copy(self, source: str, destination: str, *options) -> str:
        """Copies successfully. Returns the printed line."""
        done = self.copy(source, destination, *options)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
        output = done.stdout + done.stderr
        assert output.count("\n") == 1 and not done.stderr, f"not exactly one line: {output}"
        return done.stdout

    def check_failure(self, expected: str, *arguments, **options) -> str:
        """Checks that a copy fails with one line that contains `expected`."""
        done = self.copy(*arguments, **options)
        assert done.returncode == 1, f"exit {done.returncode}: {done.stdout}"
        assert not done.stdout and done.stderr.count("\n") == 1, f"not one line: {done.stdout}{done.stderr}"
        assert expected in done.stderr and len(done.stderr) <= 410, f"{expected!r} is not in: {done.stderr}"
        check_no_secrets(done.stderr)
        return done.stderr


def check_no_secrets(text: str):
    for password in [CREDENTIALS[1], "wrong-password"]:
        for secret in [password, b64encode(f"{CREDENTIALS[0]}:{password}".encode()).decode()]:
            assert secret not in text, f"the output contains a secret: {text}"
