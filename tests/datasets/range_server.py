"""A web server on this machine that gives ranges of files, as real ones do and Python's own does not."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple


class Request(NamedTuple):
    """What was asked for, and how much was sent."""

    method: str
    file: str
    sent: int  # bytes


class Served(NamedTuple):
    """A folder on the web."""

    url: str
    requests: list[Request]


@contextmanager
def serve(root: Path, absent: int = 404) -> Iterator[Served]:
    """Serve the files of a folder; of what is not there the answer is `absent`."""
    requests: list[Request] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, root=root, log=requests, absent=absent))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_address[1]}", requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    timeout = 5
    disable_nagle_algorithm = True  # or the head of an answer waits 40 ms for its body

    def __init__(self, *arguments, root: Path, log: list[Request], absent: int) -> None:
        self.root, self.log, self.absent = root, log, absent
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def log_message(self, *_) -> None:
        pass

    def _answer(self, send: bool) -> None:
        file = self.path.strip("/")
        if not (self.root / file).is_file():
            self.send_response(self.absent)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = (self.root / file).stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(wanted[1]), min(int(wanted[2] or size), size - 1)) if wanted else (0, size - 1)
        with (self.root / file).open("rb") as opened:
            opened.seek(first)
            data = opened.read(max(last + 1 - first, 0))
        if wanted:
            self.send_response(206 if data else 416)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}" if data else f"bytes */{size}")
        else:
            self.send_response(200)
        self.log.append(Request(self.command, file, len(data) if send else 0))  # before the client goes on
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if send:
            self.wfile.write(data)
