"""Pods that say who they are: an HTTP server on every address of the sandbox.

The body of its answer to GET / is the address on which it was reached.
"""

import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = self.connection.getsockname()[0].replace("::ffff:", "")
        body = (address + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def start(port=PORT):
    """Starts the pods in a process of their own; returns once they listen."""
    server = _Server(("::", port), _Handler)
    if os.fork() == 0:
        server.serve_forever()
    server.socket.close()


if __name__ == "__main__":
    _Server(("::", PORT), _Handler).serve_forever()
