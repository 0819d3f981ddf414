"""Flower with bide's pages over a ledger in memory: tasks are known by events, and it is asked over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import flower.events
import flower.views
import pytest
import redis
from celery import Celery
from flower.app import Flower
from flower.options import default_options
from flower.urls import handlers
from flower.urls import settings as application_settings
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from bide.errors import JobFailed
from bide.ledger import Ledger
from config.flower_tasks import format_task
from config.settings import load
from workers.flower.install import install
from workers.flower.jobs import Jobs

LOGIN = "anna:hush-anna"

#: The address of the pages, and of two objects.
PAGES = "https://bide.example.com"
URIS = ("s3://results/2026/11/22/a/0.png", "s3://results/2026/11/22/a/1.png")

COLUMNS = ("uuid", "state", "runtime", "kwargs", "result", "received", "worker")

WORKER = "worker-1@host"

_ENVIRONMENT = {"BIDE_S3__BUCKET": "results", "BIDE_BROKER_URL": "redis://127.0.0.1:1/0"}

_clocks = itertools.count(1)


@contextmanager
def installed(**settings: str) -> Iterator[None]:
    """Flower's modules have bide's pages, as its configuration file puts them there."""
    before = list(handlers), dict(application_settings), flower.events.TaskSearchEngine
    try:
        install(load({**_ENVIRONMENT, **settings}, None))
        yield
    finally:
        handlers[:], _, flower.events.TaskSearchEngine = before
        application_settings.clear()
        application_settings.update(before[1])


class Queues:
    """A broker in which one message waits everywhere."""

    async def queues(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return [{"name": name, "messages": 1} for name in names]


class FlowerWorld:
    """Flower's application; `events` are its own, `ask` and `rows` speak as a browser whose user has logged in."""

    def __init__(self, server: redis.Redis, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        self.ledger = Ledger(server)
        self._jobs = Jobs(self.ledger)
        self._settings = settings
        self._received: list[dict[str, Any]] = []
        monkeypatch.setattr(flower.views.BaseHandler, "get_broker", lambda _: Queues())

    # What workers tell Flower

    def event(self, kind: str, job_id: str, **fields: Any) -> None:
        """An event of a worker."""
        number = next(_clocks)
        common = {"hostname": WORKER, "utcoffset": 0, "pid": 1, "clock": number, "timestamp": 1.7e9 + number}
        arrived = {"local_received": 1.7e9 + number}
        self._received.append({"type": f"task-{kind}", "uuid": job_id, **common, **arrived, **fields})

    def received(
        self, job_id: str, *, name: str = "bide.generate", what: str = "photogpt images.generation: fox"
    ) -> None:
        self.event(
            "received", job_id, name=name, args="", kwargs=what, root_id=job_id, parent_id=None, retries=0, eta=None
        )

    def waits(self, job_id: str, **options: str) -> None:
        """A job whose last step is over."""
        self.received(job_id, **options)
        self.event("retried", job_id, exception="Retry('suspended')", traceback="...")

    def failed(self, job_id: str, code: str, message: str) -> None:
        """A job that ended so."""
        self.received(job_id)
        error = JobFailed(json.dumps({"code": code, "message": message, "job_id": job_id}))
        self.event("failed", job_id, exception=repr(error), traceback="Traceback ...")

    def succeeded(self, job_id: str, *uris: str) -> None:
        """A job whose objects are stored."""
        self.received(job_id)
        self.event("succeeded", job_id, result=repr({"outputs": [{"uri": uri} for uri in uris]}), runtime=0.1)

    # What a browser asks

    def ask(self, path: str, *, form: Mapping[str, Any] | None = None, login: str = LOGIN) -> HTTPResponse:
        """One answer of a Flower that knows all events up to now."""

        async def run() -> HTTPResponse:
            with installed(**self._settings):
                options = {**default_options.as_dict(), "basic_auth": [LOGIN], "format_task": format_task}
                options["tasks_columns"] = ",".join(COLUMNS)
                settings = {**application_settings, "bide_jobs": self._jobs}
                app = Flower(
                    options=SimpleNamespace(**options),
                    capp=Celery(broker="memory://", set_as_current=False),
                    **settings,
                )
                for event in self._received:
                    app.events.state.event(dict(event))
                socket, port = bind_unused_port()
                server = HTTPServer(app)
                server.add_socket(socket)
                headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
                body = None if form is None else urlencode(form)
                try:
                    return await AsyncHTTPClient(force_instance=True).fetch(
                        f"http://127.0.0.1:{port}{path}",
                        method="GET" if body is None else "POST",
                        headers=headers,
                        body=body,
                        raise_error=False,
                    )
                finally:
                    server.stop()
                    await server.close_all_connections()
                    app.executor.shutdown()

        return asyncio.run(run())

    def rows(self, search: str = "", *, length: int = 100) -> list[dict[str, Any]]:
        """The rows of the list, the latest first."""
        form = {"draw": 1, "start": 0, "length": length, "search[value]": search}
        form |= {"order[0][column]": COLUMNS.index("received"), "order[0][dir]": "desc"}
        form |= {f"columns[{at}][data]": name for at, name in enumerate(COLUMNS)}
        rows: list[dict[str, Any]] = json.loads(self.ask("/tasks/datatable", form=form).body)["data"]
        return rows

    def page(self, job_id: str) -> Page:
        """The page of one task."""
        answer = self.ask(f"/task/{job_id}")
        return Page(answer.code, answer.body.decode())


class Page(HTMLParser):
    """A page as it is read: `facts` by their names, and `links`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__()
        self.status, self.text = status, text
        self.facts: dict[str, str] = {}
        self.links: list[str] = []
        self._name = ""
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("dt", "dd"):
            self._within = tag
            self._name = "" if tag == "dt" else self._name
        elif tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "dt":
            self._name += data.strip()
        elif self._within == "dd":
            self.facts[self._name] = " ".join(f"{self.facts.get(self._name, '')} {data}".split())
