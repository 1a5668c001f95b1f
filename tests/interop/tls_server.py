"""A small HTTPS server of the checks on loopback."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from registries import Authority


class TlsServer(ThreadingHTTPServer):
    """Serves with the authority's certificate until `stop`. `host` is the address with the port."""

    daemon_threads = True

    def __init__(self, authority: Authority, handler: type[BaseHTTPRequestHandler]):
        super().__init__(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.server_certificate, authority.server_key)
        # The handshake is up to the thread of the connection, so that a silent client delays nobody.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Clients close connections whenever they like."""

    def stop(self):
        self.shutdown()
        self.server_close()
