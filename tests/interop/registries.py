"""Registries for the checks, each with its own process on loopback."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

# Timeout of the start of a registry.
START_SECONDS = 10

MANIFEST_TYPES = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]


# Go packages of programs that Debian lacks or has in old versions: the reference implementation of the
# distribution specification, and Docker's credential helper for pass.
GO_PROGRAMS = {
    "distribution-3": "github.com/distribution/distribution/v3/cmd/registry@v3.1.0",
    "docker-credential-pass": "github.com/docker/docker-credential-helpers/pass/cmd@v0.9.13",
}


def build(folder: Path) -> bool:
    """Builds the missing programs with Go. Returns false if a program is missing, and Go as well."""
    referrers = folder / "referrers-registry"
    if not shutil.which("go"):
        return all((folder / program).exists() for program in [*GO_PROGRAMS, referrers.name])
    folder.mkdir(parents=True, exist_ok=True)
    for program, package in GO_PROGRAMS.items():
        if not (folder / program).exists():
            subprocess.run(["go", "install", package], env={**os.environ, "GOBIN": str(folder)}, check=True)
            (folder / package.split("@")[0].rsplit("/", 1)[1]).rename(folder / program)
    sources = Path(__file__).with_name("referrers-registry")
    subprocess.run(["go", "build", "-o", referrers, "."], cwd=sources, check=True)
    return True


class CertificateAuthority:
    """A CA with a server certificate for this machine."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self.server_certificate, self.server_key = folder / "server.pem", folder / "server-key.pem"
        request, extensions = folder / "server.csr", folder / "server.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _openssl("req", "-x509", *new_key, "-days", "2", "-subj", "/CN=Interop CA",
                 "-keyout", folder / "ca-key.pem", "-out", self.certificate)
        _openssl("req", "-new", *new_key, "-subj", "/CN=localhost",
                 "-keyout", self.server_key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", folder / "ca-key.pem",
                 "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", self.server_certificate)


class Registry:
    """One process of the Distribution registry. `host` is the host and port in references.

    `credentials` are those of the checks. The registry verifies them with a password file, or with tokens if it
    has a token service (`token_service.TokenService`).
    """

    def __init__(self, folder: Path, ca: CertificateAuthority | None = None, credentials: tuple[str, str] | None = None,
                 program="docker-registry", tokens=None):
        folder.mkdir()
        self.folder, self.ca, self.credentials, self.program = folder, ca, credentials, program
        self.tokens = tokens
        self.log_file = folder / "log"
        self.process = None
        # Another program can use the port before the registry does.
        for _ in range(5):
            self.port = _free_port()
            self.host = f"127.0.0.1:{self.port}"
            if self._start():
                return
        raise RuntimeError(f"{program} does not start: {self.log_file.read_text()[-2000:]}")

    def _start(self) -> bool:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.get("/v2/")
                return True
            except urllib.error.HTTPError:
                return True
            except OSError:
                time.sleep(0.02)
        self.stop()
        return False

    def _command(self) -> list:
        configuration = self.folder / "config.yml"
        configuration.write_text(self._configuration())
        return [self.program, "serve", configuration]

    def _configuration(self) -> str:
        lines = [
            "version: 0.1",
            "log: {level: error}",
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/storage}}, delete: {{enabled: true}}}}",
            "http:",
            f"  addr: {self.host}",
            "  secret: not-a-secret",
        ]
        if self.ca:
            pair = f"{{certificate: {self.ca.server_certificate}, key: {self.ca.server_key}}}"
            lines.append(f"  tls: {pair}")
        if self.tokens:
            lines.append(self.tokens.configuration())
        elif self.credentials:
            passwords = self.folder / "htpasswd"
            entry = subprocess.run(["htpasswd", "-Bbn", *self.credentials], check=True, capture_output=True)
            passwords.write_bytes(entry.stdout)
            lines.append(f"auth: {{htpasswd: {{realm: interop, path: {passwords}}}}}")
        return "\n".join(lines) + "\n"

    def stop(self):
        """Stops the process."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def get(self, path: str, method: str = "GET"):
        """Sends a request to the registry. Returns headers and body."""
        return self._open(path, method, {"Accept": ", ".join(MANIFEST_TYPES)}, None)

    def send(self, method: str, path: str, content: bytes, media_type: str = "application/octet-stream"):
        """Sends content to the registry. Returns the headers of the response."""
        return self._open(path, method, {"Content-Type": media_type}, content)[0]

    def put_blob(self, repository: str, digest: str, content: bytes):
        session = self.send("POST", f"/v2/{repository}/blobs/uploads/", b"")["Location"]
        separator = "&" if "?" in session else "?"
        self.send("PUT", f"{session}{separator}digest={digest}", content)

    def _open(self, path: str, method: str, headers: dict, content: bytes | None):
        scheme = "https" if self.ca else "http"
        target = path if "://" in path else f"{scheme}://{self.host}{path}"
        request = urllib.request.Request(target, data=content, method=method, headers=headers)
        repository = re.match("/v2/(.+?)/(manifests|blobs|referrers|tags)/", path)
        if self.tokens and repository:
            request.add_header("Authorization", self.tokens.bearer(repository[1]))
        elif self.credentials:
            request.add_header("Authorization", "Basic " + b64encode(":".join(self.credentials).encode()).decode())
        handlers = [urllib.request.ProxyHandler({})]
        if self.ca:
            context = ssl.create_default_context(cafile=self.ca.certificate)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(request, timeout=60) as response:
            return response.headers, response.read()

    def has(self, repository: str, tag: str) -> bool:
        try:
            self.get(f"/v2/{repository}/manifests/{tag}", "HEAD")
            return True
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise

    def requests(self) -> list[tuple[str, str]]:
        """Returns method and path of every request in the registry's access log."""
        quoted = [line.split('"')[1] for line in self.log_file.read_text().splitlines() if ' HTTP/1.1" ' in line]
        return [tuple(request.split(" ")[:2]) for request in quoted]


class ReferrersRegistry(Registry):
    """The in-memory registry of go-containerregistry, which supports the referrers API."""

    def _command(self) -> list:
        return [self.program, self.host]

    def referrers(self, repository: str, digest: str) -> list[str]:
        """Returns the digests of the referrers of a manifest."""
        _, body = self.get(f"/v2/{repository}/referrers/{digest}")
        return [manifest["digest"] for manifest in json.loads(body)["manifests"]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
