"""The imaginary guild as a server of the tests' own process: it outlives the workers, and counts what they buy.

A motif says which promise is broken for its job: `[forgets]` a key, so that a replay buys anew; `[hides]` a job from
look-ups, and takes its key twice; `[breaks]`: the first submit is bought, and answered by HTTP 500.
"""

from __future__ import annotations

import itertools
import threading
from base64 import b64decode
from collections import defaultdict

from tests.integration.caller import PIXEL
from tests.web_server import Reply, Request, WebServer, as_json


class GuildServer(WebServer):
    """`with GuildServer() as guild: ...`; `bought` has the ids of jobs by their motif."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._by_key: dict[str, list[str]] = defaultdict(list)
        self._motifs: dict[str, str] = {}
        self._broken: set[str] = set()
        self.bought: dict[str, list[str]] = defaultdict(list)

    def _answer(self, request: Request) -> Reply:
        if request.method == "POST":
            return self.submit(request.target.rsplit("/", 1)[1], request.headers["key"], request.json())
        return self.get(request.target)

    def submit(self, operation: str, key: str, params: dict[str, str]) -> Reply:
        """Take a submit."""
        motif = params["motif"]
        with self._lock:
            before = self._by_key[key] if key else []
            if operation == "reject" and before and "[hides]" not in motif:
                return as_json({}, 409)
            replays = operation == "replay" and before and "[forgets]" not in motif
            made = before[0] if replays else f"work-{next(self._ids)}"
            if not replays:
                self._by_key[key].append(made)
                self.bought[motif].append(made)
                self._motifs[made] = motif
            if "[breaks]" in motif and motif not in self._broken:
                self._broken.add(motif)
                return as_json({}, 500)
        marks = {"Idempotent-Replayed": "true" if replays else "false"} if operation == "replay" else {}
        return as_json({"id": made}, headers=marks)

    def get(self, path: str) -> Reply:
        """Answer a poll, a look-up, or give the picture."""
        _, kind, name = path.split("/", 2)
        if kind == "pictures":
            return 200, {"Content-Type": "image/png"}, b64decode(PIXEL)
        if kind == "works":
            return as_json({"pictures": [f"{self.url}/pictures/{name}.png"]})
        with self._lock:
            ids = list(self._by_key.get(name, ())) if kind == "history" else []
            if len(ids) == 1 and "[hides]" in self._motifs[ids[0]]:
                ids = []
        return as_json({"ids": ids})
