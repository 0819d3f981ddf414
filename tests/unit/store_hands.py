"""As much of a toolbox as the store step takes, over a ledger and a store in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from bide.errors import PollFailedError
from bide.ledger import Messages
from bide.providers.base import Answer, Media
from config.settings import load
from tests.contract.ledger_stage import Stage
from tests.contract.media_fetch import PNG
from tests.unit.memory_store import MemoryStorage
from workers.accounts import Accounts
from workers.io.media import from_bytes

SETTINGS = {"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "key"}


class Hands:
    """Every address leads to a picture, unless `fetch` raises for it; the provider names `again` when it is asked."""

    def __init__(
        self, stage: Stage, *, again: Sequence[str] = (), fetch: Callable[[str], None] = lambda _: None
    ) -> None:
        self.ledger, self.storage, self.leases, self.dispatcher = stage.ledger, MemoryStorage(), self, self
        self.http, self.event_loop, self.fetcher = self, self, self
        self.accounts = Accounts(load(SETTINGS, env_file=None))
        self.again, self.fetch = again, fetch
        #: The addresses that were fetched, and how often the provider was asked, and is still to fail.
        self.fetched: list[str] = []
        self.asked, self.failing_polls = 0, 0

    @contextmanager
    def renewing(self, *_: Any) -> Iterator[Any]:
        yield SimpleNamespace(check=lambda: None)

    def output(self, one: Media, *_: Any) -> Any:
        assert one.url
        self.fetched.append(one.url)
        self.fetch(one.url)
        return from_bytes(PNG, max_bytes=len(PNG))

    def call(self, *_: Any, **__: Any) -> Answer:
        self.asked += 1
        if self.failing_polls:
            self.failing_polls -= 1
            raise PollFailedError("HTTP 503")
        images = [{"url": url} for url in self.again]
        body = {"status": "OK", "result": {"status": "success", "images": images}}
        return Answer(200, {}, json.dumps(body).encode())

    def send(self, messages: Messages) -> None:
        """The messages of a job that ended wake others, of which there are none."""

    def run(self, answer: Answer) -> Answer:
        return answer
