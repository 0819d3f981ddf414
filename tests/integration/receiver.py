"""A service that is called back: it verifies what comes as any receiver would, with the library of the standard."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook

from tests.integration.servers import free_port
from tests.web_server import Reply, Request, WebServer


@dataclass(frozen=True)
class Call:
    """One callback as it came: its path, its id, and what it says, verified."""

    path: str
    webhook_id: str
    event: dict[str, Any]


class Receiver:
    """Listens on a port of its own; `answers` are its HTTP codes in turn, the last one for ever."""

    def __init__(self, secret: str, *, answers: tuple[int, ...] = (204,)) -> None:
        self.port = free_port()
        self.calls: list[Call] = []
        self._webhook, self._answers = Webhook(secret), list(answers)
        self._serving = ExitStack()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def about(self, job_id: str) -> list[Call]:
        """The calls about one job, in order."""
        return [call for call in self.calls if call.event["data"]["job_id"] == job_id]

    def start(self) -> None:
        """Begin to listen."""
        self._serving.enter_context(WebServer(self._answer, port=self.port))

    def stop(self) -> None:
        """Be gone: connections are refused."""
        self._serving.close()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The HTTP code for one call; 400 where its signature is wrong."""
        try:
            event = self._webhook.verify(body, headers)
        except Exception:
            return 400
        self.calls.append(Call(path, headers["webhook-id"], event))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def _answer(self, request: Request) -> Reply:
        """No connection is kept: one that was would still be answered after `stop`."""
        return self.take(request.target, request.headers, request.body), {"Connection": "close"}, b""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
