"""A proxy of a registry that rejects mounts of blobs, like some products. It forwards all other requests."""

import http.client
import ssl
from http.server import BaseHTTPRequestHandler

from registries import Registry
from tls_server import TlsServer

# Headers of a connection, which a proxy does not forward.
CONNECTION = {"connection", "keep-alive", "transfer-encoding"}


class MountRejection:
    """Serves HTTPS on loopback with the certificate of the registry. `rejected` counts the mounts."""

    def __init__(self, registry: Registry, status: int):
        self.rejected = 0
        front = self
        trusted = ssl.create_default_context(cafile=registry.ca.certificate)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.command == "POST" and "mount=" in self.path:
                    front.rejected += 1
                    return self.respond(status, {}, b'{"errors": [{"code": "UNSUPPORTED"}]}')
                upstream = http.client.HTTPSConnection("127.0.0.1", registry.port, timeout=60, context=trusted)
                # The registry builds the locations of uploads from Host.
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in CONNECTION:
                        upstream.putheader(name, value)
                upstream.endheaders(body)
                response = upstream.getresponse()
                self.respond(response.status, dict(response.getheaders()), response.read())
                upstream.close()

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = forward

            def respond(self, status: int, headers: dict[str, str], body: bytes):
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in CONNECTION | ({"content-length"} if self.command != "HEAD" else set()):
                        self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = TlsServer(registry.ca, Handler)
        self.host, self.stop = self.server.host, self.server.stop
