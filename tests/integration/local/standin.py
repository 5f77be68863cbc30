"""Stands in for an application process: `python standin.py NAME [PORT]`.

With a port it answers GET /health there; every stand-in notes its beginning and its end in the file TRACE.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

name, *port = sys.argv[1:]


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Silence: the requests of a health check are no news."""


def note(event: str) -> None:
    with Path(os.environ["TRACE"]).open("a") as trace:
        trace.write(f"{event} {name} {os.getpid()}\n")


def main() -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if name == "broken":
        sys.exit("it is broken on purpose")
    if port:
        server = HTTPServer(("127.0.0.1", int(port[0])), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    note("began")
    if name == "stubborn":
        while True:
            ended.wait(1)
    ended.wait()
    note("ended")


main()
