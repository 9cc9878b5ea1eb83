"""Runs in a Python that has pygndc: times reads of its unmodified decoder, one JSON request a line on stdin.

Requests: {"open": path}, {"call": "read"|"series", "args": {...}}; answers: seconds of the call.
"""

import json
import sys
import time

import pygndc

dataset = None
for line in sys.stdin:
    request = json.loads(line)
    started = time.perf_counter()
    if "open" in request:
        if dataset is not None:
            dataset.close()
        started = time.perf_counter()
        dataset = pygndc.open(request["open"], mode="native_cpu")
    args = {k: tuple(v) if isinstance(v, list) else v for k, v in request.get("args", {}).items()}
    if request.get("call") == "read":
        dataset.read(**args)
    elif request.get("call") == "series":
        for point in request["points"]:
            dataset.series(rowcol=tuple(point))
    print(json.dumps(time.perf_counter() - started), flush=True)
