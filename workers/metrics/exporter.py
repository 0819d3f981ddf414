"""Answers Prometheus within seconds, whatever Redis does: `/metrics`, and `/healthz` for what restarts processes."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from workers.metrics.crowd import LONGEST_SECONDS, NO_FILES_SECONDS, Crowd
from workers.metrics.families import families
from workers.metrics.reading import Snapshot

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

#: The longest a scrape waits for Redis [seconds]; Prometheus itself gives up after ten.
ANSWER_SECONDS = 4.0


class BideCollector(Collector):
    """Takes one snapshot at a time: a scrape that comes while another one's is under way waits for the same."""

    def __init__(self, take: Callable[[], Snapshot], *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._take, self._seconds = take, answer_seconds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._under_way: Future[Snapshot] | None = None

    def collect(self) -> Iterable[Metric]:
        """All metrics, or `bide_up` 0; never raises."""
        return families(self._snapshot())

    def close(self) -> None:
        """Take no more snapshots."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _snapshot(self) -> Snapshot | None:
        future = self._under_way
        if future is None or future.done():
            future = self._under_way = self._pool.submit(self._take)
        try:
            return future.result(timeout=self._seconds)
        except Exception as error:  # whatever it is, Prometheus is to hear of it
            log.warning("metrics.no_snapshot", reason=f"{type(error).__name__}: {error}"[:300])
            return None


def application(collector: Collector) -> WSGIApplication:
    """The web application."""
    registry = CollectorRegistry()
    registry.register(collector)
    metrics: Any = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answered: Iterable[bytes] = metrics(environ, start_response)
            return answered
        known = path == "/healthz"
        start_response("200 OK" if known else "404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"ok\n" if known else b"there are /metrics and /healthz\n"]

    return answer


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, so many at most and each for so long: /healthz answers while a scrape waits.

    Raises `OSError` where it can't listen.
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: str, port: int, app: WSGIApplication) -> None:
        [(self.address_family, *_), *_] = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        self._crowd = Crowd()
        super().__init__((address, port), _Quiet)
        self.set_app(app)

    @property
    def url(self) -> str:
        """Where it answers."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; another one is closed for it where there is no room."""
        try:
            connection, address = super().get_request()
        except OSError:
            self._crowd.close_one()
            time.sleep(NO_FILES_SECONDS)  # the base class would try again at once, for ever
            raise
        self._crowd.add(connection)
        return connection, address

    def heard(self, connection: socket.socket) -> None:
        """A whole request has come over a connection."""
        self._crowd.heard(connection)

    def service_actions(self) -> None:
        """Close what is there for too long; called twice a second at least."""
        self._crowd.close_old()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that was answered, or gave up."""
        self._crowd.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of senders who are slow, or gone."""
        if not isinstance(error := sys.exc_info()[1], OSError):
            log.error("metrics.broke", reason=type(error).__name__)


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    timeout = LONGEST_SECONDS

    def get_environ(self) -> dict[str, Any]:
        """The environment of a request, which has come whole by now."""
        cast(Server, self.server).heard(self.connection)
        return super().get_environ()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it that
        return
