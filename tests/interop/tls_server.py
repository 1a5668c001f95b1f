"""An HTTPS server on loopback."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from registries import CertificateAuthority


class TlsServer(ThreadingHTTPServer):
    """Serves with a certificate of the CA until `stop`. `host` is the address with the port."""

    daemon_threads = True

    def __init__(self, ca: CertificateAuthority, handler: type[BaseHTTPRequestHandler]):
        super().__init__(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca.server_certificate, ca.server_key)
        # Each connection's thread does the handshake, so that a silent client does not block others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Ignores connections that clients close."""

    def stop(self):
        self.shutdown()
        self.server_close()
