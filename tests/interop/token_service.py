"""A token service as Distribution's `auth: token` requires it: JWTs signed with a key that the registry
trusts, with rights per repository.

Specification: https://distribution.github.io/distribution/spec/auth/token/ and .../spec/auth/jwt/
"""

import json
import subprocess
import time
from base64 import b64decode, urlsafe_b64encode
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from registries import Authority
from tls_server import TlsServer

SERVICE, ISSUER = "interop registry", "interop issuer"
# The user of the checks themselves, which may do everything.
JUDGE = ("judge", "judge-password")


class Grant(NamedTuple):
    """One request for a token: who asked, for which rights, and what was granted (empty if refused)."""
    user: str
    asked: dict[str, frozenset[str]]
    granted: dict[str, frozenset[str]]


class TokenService:
    """Serves HTTPS on loopback with the authority's certificate, whose key also signs the tokens.

    `users` maps a user to the password and to rights by repository. With `one_scope`, a request for more
    than one repository is refused as a whole.
    """

    def __init__(self, authority: Authority, users: dict[str, tuple[str, dict[str, set[str]]]], one_scope=False):
        self.authority, self.users, self.one_scope = authority, users, one_scope
        self.grants: list[Grant] = []
        pem = authority.server_certificate.read_text()
        self.certificate = "".join(pem.split("-----")[2].split())
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, document = service.answer(self.path, self.headers.get("Authorization", ""))
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

        self.server = TlsServer(authority, Handler)
        self.realm, self.stop = f"https://{self.server.host}/token", self.server.stop

    def configuration(self) -> str:
        """The registry's `auth` section."""
        return (f"auth: {{token: {{realm: '{self.realm}', service: '{SERVICE}', issuer: '{ISSUER}', "
                f"rootcertbundle: {self.authority.server_certificate}}}}}")

    def answer(self, path: str, authorization: str) -> tuple[int, dict]:
        query = parse_qs(urlsplit(path).query)
        user = self._user(authorization)
        asked = _scopes(query.get("scope", []))
        if user is None or query.get("service") != [SERVICE]:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}
        if self.one_scope and len(asked) > 1:
            self.grants.append(Grant(user, asked, {}))
            return 403, {"errors": [{"code": "DENIED", "message": "a token is for one repository"}]}
        rights = self.users[user][1]
        granted = {name: actions & rights.get(name, set()) for name, actions in asked.items()}
        self.grants.append(Grant(user, asked, granted))
        token = self._sign(user, granted)
        return 200, {"token": token, "access_token": token, "expires_in": 300}

    def bearer(self, repository: str) -> str:
        """Authorization of the judge, which may read and write the repository."""
        return "Bearer " + self._sign(JUDGE[0], {repository: frozenset(["pull", "push"])})

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
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.authority.server_key)],
                                input=message.encode(), check=True, capture_output=True).stdout
        return f"{message}.{_base64url(_fixed_length(signed))}"


def _scopes(values: list[str]) -> dict[str, frozenset[str]]:
    """Actions by repository, of all `scope` parameters. A parameter can name several scopes."""
    scopes: dict[str, frozenset[str]] = {}
    for scope in " ".join(values).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind == "repository":
            scopes[name] = scopes.get(name, frozenset()) | frozenset(actions.split(","))
    return scopes


def _fixed_length(der: bytes) -> bytes:
    """An ECDSA signature as JWTs have it (RFC 7518, section 3.4): both numbers with 32 bytes each, not DER."""
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
