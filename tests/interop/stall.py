"""A registry that stalls: it forwards requests to a real registry, but sends only the first half of a large blob
until `resume` is set. As a proxy it serves every host."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from registries import Registry

# Minimum size in bytes of a blob that stalls.
LARGE = 100_000
FORWARDED_HEADERS = ["Content-Type", "Content-Length", "Docker-Content-Digest"]


class StallingProxy:
    def __init__(self, registry: Registry):
        self.stalled, self.resume = threading.Event(), threading.Event()
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                front.respond(self, registry)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def respond(self, handler: BaseHTTPRequestHandler, registry: Registry):
        headers, body = registry.get(re.sub("^http://[^/]*", "", handler.path), handler.command)
        handler.send_response(200)
        for name in FORWARDED_HEADERS:
            if name in headers:
                handler.send_header(name, headers[name])
        handler.end_headers()
        try:
            if "/blobs/" in handler.path and len(body) > LARGE:
                handler.wfile.write(body[: len(body) // 2])
                self.stalled.set()
                self.resume.wait()
                body = body[len(body) // 2:]
            handler.wfile.write(body)
        except OSError:
            pass  # The client closed the connection, as some checks expect.

    def stop(self):
        self.resume.set()
        self.server.shutdown()
        self.server.server_close()
