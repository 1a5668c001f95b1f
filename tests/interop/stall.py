"""A registry that falls silent in the middle of a blob: it passes everything on to a real one, but
of a large blob only the first half, until told to go on. As a proxy it stands for any host."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from registries import Registry

LARGE = 100_000
PASSED_ON = ["Content-Type", "Content-Length", "Docker-Content-Digest"]


class StallingFront:
    def __init__(self, registry: Registry):
        self.stalled, self.may_go_on = threading.Event(), threading.Event()
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                front.answer(self, registry)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler, registry: Registry):
        headers, body = registry.get(re.sub("^http://[^/]*", "", handler.path), handler.command)
        handler.send_response(200)
        for name in PASSED_ON:
            if name in headers:
                handler.send_header(name, headers[name])
        handler.end_headers()
        try:
            if "/blobs/" in handler.path and len(body) > LARGE:
                handler.wfile.write(body[: len(body) // 2])
                self.stalled.set()
                self.may_go_on.wait()
                body = body[len(body) // 2:]
            handler.wfile.write(body)
        except OSError:
            pass  # The client went away, which is what it is here for.

    def stop(self):
        self.may_go_on.set()
        self.server.shutdown()
        self.server.server_close()
