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
        is_well = Path(os.environ["TRACE"]).read_text().count("broke ") >= int(os.environ.get("AFTER_BREAKS", "0"))
        self.send_response((200 if is_well else 503) if self.path == "/health" else 404)
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
        note("broke")
        sys.exit("it is broken on purpose")
    note("began")
    if port:
        server = HTTPServer(("127.0.0.1", int(port[0])), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if name == "stubborn":
        while True:
            ended.wait(1)
    ended.wait()
    note("ended")


main()
