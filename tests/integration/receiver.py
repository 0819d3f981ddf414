"""A service that is called back: it verifies what comes as any receiver would, with the library of the standard."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook

from tests.integration.servers import free_port


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
        self._server: ThreadingHTTPServer | None = None

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def about(self, job_id: str) -> list[Call]:
        """The calls about one job, in order."""
        return [call for call in self.calls if call.event["data"]["job_id"] == job_id]

    def start(self) -> None:
        """Begin to listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Be gone: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The HTTP code for one call; 400 where its signature is wrong."""
        try:
            event = self._webhook.verify(body, headers)
        except Exception:
            return 400
        self.calls.append(Call(path, headers["webhook-id"], event))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.take(self.path, headers, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base's
            """Say nothing."""

    return Handler
