"""A token service for Distribution's `auth: token`: it issues JWTs with permissions per repository, signed with
a key that the registry trusts.

Specification: https://distribution.github.io/distribution/spec/auth/token/ and .../spec/auth/jwt/
"""

import json
import subprocess
import time
from base64 import b64decode, urlsafe_b64encode
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from registries import CertificateAuthority
from tls_server import TlsServer

SERVICE, ISSUER = "interop registry", "interop issuer"
# User of the checks themselves, with all permissions.
CHECKER = ("checker", "checker-password")


class Grant(NamedTuple):
    """A token request: user, requested permissions, and granted permissions (empty if rejected)."""
    user: str
    requested: dict[str, frozenset[str]]
    granted: dict[str, frozenset[str]]


class TokenService:
    """Serves HTTPS on loopback with a certificate of the CA. Its key also signs the tokens.

    `users` maps a user to a password and permissions by repository. With `one_scope`, a request for more than
    one repository is rejected.
    """

    def __init__(self, ca: CertificateAuthority, users: dict[str, tuple[str, dict[str, set[str]]]], one_scope=False):
        self.ca, self.users, self.one_scope = ca, users, one_scope
        self.grants: list[Grant] = []
        pem = ca.server_certificate.read_text()
        self.certificate = "".join(pem.split("-----")[2].split())
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, document = service.respond(self.path, self.headers.get("Authorization", ""))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                # Clients that try OAuth2 first fall back to GET on 404.
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = TlsServer(ca, Handler)
        self.realm, self.stop = f"https://{self.server.host}/token", self.server.stop

    def configuration(self) -> str:
        """Returns the registry's `auth` section."""
        return (f"auth: {{token: {{realm: '{self.realm}', service: '{SERVICE}', issuer: '{ISSUER}', "
                f"rootcertbundle: {self.ca.server_certificate}}}}}")

    def respond(self, path: str, authorization: str) -> tuple[int, dict]:
        query = parse_qs(urlsplit(path).query)
        user = self._user(authorization)
        requested = _scopes(query.get("scope", []))
        if user is None or query.get("service") != [SERVICE]:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}
        if self.one_scope and len(requested) > 1:
            self.grants.append(Grant(user, requested, {}))
            return 403, {"errors": [{"code": "DENIED", "message": "a token is for one repository"}]}
        permissions = self.users[user][1]
        granted = {name: actions & permissions.get(name, set()) for name, actions in requested.items()}
        self.grants.append(Grant(user, requested, granted))
        token = self._sign(user, granted)
        return 200, {"token": token, "access_token": token, "expires_in": 300}

    def bearer(self, repository: str) -> str:
        """Returns an Authorization header of the checker for the repository."""
        return "Bearer " + self._sign(CHECKER[0], {repository: frozenset(["pull", "push"])})

    def _user(self, authorization: str) -> str | None:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        user, _, password = b64decode(value).decode().partition(":")
        return user if user in self.users and self.users[user][0] == password else None

    def _sign(self, user: str, granted: dict[str, frozenset[str]]) -> str:
        header = {"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]}
        now = int(time.time())
        access = [{"type": "repository", "name": name, "actions": sorted(actions)}
                  for name, actions in granted.items()]
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, "iat": now, "nbf": now - 10, "exp": now + 300,
                  "jti": f"{time.monotonic_ns()}", "access": access}
        message = ".".join(_base64url(json.dumps(part).encode()) for part in [header, claims])
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.ca.server_key)],
                                input=message.encode(), check=True, capture_output=True).stdout
        return f"{message}.{_base64url(_fixed_length(signed))}"


def _scopes(values: list[str]) -> dict[str, frozenset[str]]:
    """Returns the actions by repository of all `scope` parameters. A parameter can contain several scopes."""
    scopes: dict[str, frozenset[str]] = {}
    for scope in " ".join(values).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind == "repository":
            scopes[name] = scopes.get(name, frozenset()) | frozenset(actions.split(","))
    return scopes


def _fixed_length(der: bytes) -> bytes:
    """Converts an ECDSA signature from DER to the form of JWTs: two numbers of 32 bytes (RFC 7518, section 3.4)."""
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
