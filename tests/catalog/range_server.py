"""A small HTTP server of one folder with byte ranges; says its port on standard output.

A process of its own, so that it answers whatever the process under test does with its interpreter lock.
"""

from __future__ import annotations

import functools
import http.server
import sys
from pathlib import Path


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Files, whole or a byte range of them, as every object store serves."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        low, _, high = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(low), min(int(high or len(data) - 1), len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop}/{len(data)}")
        self.send_header("Content-Length", str(stop - start + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(data[start : stop + 1])

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Ranges, directory=sys.argv[1]))
    print(server.server_port, flush=True)
    server.serve_forever()
