"""A small HTTP server of one folder with byte ranges, which sends half of some answers and then nothing more.

    python stalling_server.py FOLDER FROM TIMES

Says its port on standard output. Answers that reach beyond the byte FROM of a file stall, the first TIMES of them.
"""

from __future__ import annotations

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Stalling(BaseHTTPRequestHandler):
    """Byte ranges of files, some of them by half."""

    protocol_version = "HTTP/1.1"
    stalls_from, left = int(sys.argv[2]), int(sys.argv[3])

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, body: bool) -> None:
        path = Path(sys.argv[1] + self.path)
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = path.read_bytes()
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, stop = (int(match[1]), min(int(match[2]) + 1, len(data))) if match else (0, len(data))
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if body and stop > self.stalls_from and Stalling.left > 0:
            Stalling.left -= 1
            self.wfile.write(data[start : (start + stop) // 2])
            self.wfile.flush()
            threading.Event().wait(60)
        elif body:
            self.wfile.write(data[start:stop])

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stalling)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
