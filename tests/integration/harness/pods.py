"""Pods that say who they are: an HTTP server on every address of the sandbox.

The body of its answer to GET / is the address on which it was reached; GET /once ends the connection, too.
For programs of other protocols there is a port where pods hang up once they are spoken to. Either notes
the address of each connection.
"""

import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler

from . import sandbox

PORT, CLOSING_PORT = 8080, 8090
_LOG = f"{sandbox.HOME}/pods.log"


def _address(connection):
    return connection.getsockname()[0].replace("::ffff:", "")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = (_address(self.connection) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/once":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Hangup(BaseRequestHandler):
    def handle(self):
        self.request.recv(4096)


class _Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def get_request(self):
        connection, peer = super().get_request()
        with open(_LOG, "ab", buffering=0) as log:
            log.write(f"{_address(connection)}\n".encode())
        return connection, peer

    def handle_error(self, *_):
        """Programs of other protocols hang up in their own ways."""


def accepted():
    """The pods' addresses on which connections have arrived so far, in order."""
    if not os.path.exists(_LOG):
        return []
    with open(_LOG) as log:
        return log.read().split()


def start():
    """Starts the pods in processes of their own; returns once they listen."""
    for port, handler in (PORT, _Handler), (CLOSING_PORT, _Hangup):
        server = _Server(("::", port), handler)
        if os.fork() == 0:
            server.serve_forever()
        server.socket.close()
