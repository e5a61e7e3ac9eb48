"""A service instrumented for Prometheus with the names of prometheus-fastapi-instrumentator.

    python -m tests.scraped_service PORT

Written by hand on the standard library, because the instrumentation is not ours to test: what
counts is that a real Prometheus scrapes real requests.
"""

from __future__ import annotations

import random
import resource
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
LATENCY = "http_request_duration_highr_seconds"

lock = threading.Lock()
requests = {"2xx": 0, "5xx": 0}
buckets = [0] * len(BUCKETS)
total_seconds = 0.0


def expose() -> str:
    """Return the counters in the text format of Prometheus."""
    with lock:
        lines = [f'http_requests_total{{status="{s}"}} {n}' for s, n in requests.items() if n]
        lines += [
            f'{LATENCY}_bucket{{le="{le}"}} {n}' for le, n in zip(BUCKETS, buckets, strict=True)
        ]
        count = sum(requests.values())
        lines += [f'{LATENCY}_bucket{{le="+Inf"}} {count}', f"{LATENCY}_count {count}"]
        lines += [f"{LATENCY}_sum {total_seconds}"]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lines += [f"process_cpu_seconds_total {usage.ru_utime + usage.ru_stime}"]
    lines += [f"process_resident_memory_bytes {usage.ru_maxrss * 1024}"]
    return "\n".join(lines) + "\n"


class Service(BaseHTTPRequestHandler):
    """Answers /work after a moment, and /metrics."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.answer(200, expose())
            return
        global total_seconds
        began = time.monotonic()
        time.sleep(random.uniform(0.002, 0.02))
        failed = self.path == "/fail"
        self.answer(500 if failed else 200, "done")
        took = time.monotonic() - began
        with lock:
            requests["5xx" if failed else "2xx"] += 1
            total_seconds += took
            for index, le in enumerate(BUCKETS):
                buckets[index] += took <= le

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
