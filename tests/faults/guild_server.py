"""The imaginary guild as a server of the tests' own process: it outlives the workers, and counts what they buy.

A motif says which promise is broken for its job: `[forgets]` a key, so that a replay buys anew; `[hides]` a job from
look-ups, and takes its key twice; `[breaks]`: the first submit is bought, and answered by HTTP 500.
"""

from __future__ import annotations

import itertools
import json
import threading
from base64 import b64decode
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.integration.caller import PIXEL


class GuildServer:
    """`with GuildServer() as guild: ...`; `bought` has the ids of jobs by their motif."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._by_key: dict[str, list[str]] = defaultdict(list)
        self._motifs: dict[str, str] = {}
        self._broken: set[str] = set()
        self.bought: dict[str, list[str]] = defaultdict(list)
        guild = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(*guild.get(self.path))

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) == length:  # else its sender died
                    self._send(*guild.submit(self.path.rsplit("/", 1)[1], self.headers["Key"], json.loads(body)))

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def submit(self, operation: str, key: str, params: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Take a submit: answer, body, headers."""
        motif = params["motif"]
        with self._lock:
            before = self._by_key[key] if key else []
            if operation == "reject" and before and "[hides]" not in motif:
                return 409, b"{}", {}
            replays = operation == "replay" and before and "[forgets]" not in motif
            made = before[0] if replays else f"work-{next(self._ids)}"
            if not replays:
                self._by_key[key].append(made)
                self.bought[motif].append(made)
                self._motifs[made] = motif
            if "[breaks]" in motif and motif not in self._broken:
                self._broken.add(motif)
                return 500, b"{}", {}
        marks = {"Idempotent-Replayed": "true" if replays else "false"} if operation == "replay" else {}
        return 200, json.dumps({"id": made}).encode(), marks

    def get(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Answer a poll, a look-up, or give the picture."""
        _, kind, name = path.split("/", 2)
        if kind == "pictures":
            return 200, b64decode(PIXEL), {"Content-Type": "image/png"}
        if kind == "works":
            return 200, json.dumps({"pictures": [f"http://{self.place}/pictures/{name}.png"]}).encode(), {}
        with self._lock:
            ids = list(self._by_key.get(name, ())) if kind == "history" else []
            if len(ids) == 1 and "[hides]" in self._motifs[ids[0]]:
                ids = []
        return 200, json.dumps({"ids": ids}).encode(), {}
