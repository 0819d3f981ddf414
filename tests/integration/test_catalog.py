"""Catalogs are asked for once and kept some minutes."""

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from celery import Celery

from bide.errors import InvalidRequestError, TryLaterError
from config.settings import load
from tests.background import served
from workers.catalog import KEPT_SECONDS, Catalogs, offered
from workers.toolbox import Toolbox

pytestmark = pytest.mark.integration


class Nextry(ThreadingHTTPServer):
    """Nextry's catalogs; `status` is what it answers with, `asked` the paths it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Nextry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = json.dumps([{"tool": "fabric", "title": "Fabric"}]).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def nextry() -> Iterator[Nextry]:
    """A running server."""
    with Nextry() as server, served(server):
        yield server


@pytest.fixture
def tools(nextry: Nextry) -> Iterator[Toolbox]:
    """A toolbox whose Nextry is that server."""
    environment = {
        "BIDE_S3__BUCKET": "results",
        "BIDE_PROVIDERS__NEXTRY__API_KEY": "key-1234",
        "BIDE_PROVIDERS__NEXTRY__BASE_URL": f"http://127.0.0.1:{nextry.server_port}",
    }
    made = Toolbox(load(environment, env_file=None), Celery(set_as_current=False))
    yield made
    made.close()


def catalogs_of(tools: Toolbox, *, clock: Callable[[], float] = time.monotonic) -> Catalogs:
    """The catalogs of a process."""
    return Catalogs(tools.accounts, tools.http, tools.event_loop, clock=clock)


def test_a_catalog_is_asked_for_once_until_it_is_old(nextry: Nextry, tools: Toolbox) -> None:
    """Given a clock, when its time has passed, then the provider is asked again."""
    now = 1000.0
    catalogs = catalogs_of(tools, clock=lambda: now)
    for _ in range(3):
        assert catalogs.get("nextry", "tools", arguments={}) == [{"tool": "fabric", "title": "Fabric"}]
    assert nextry.asked == ["/generation/tools"]
    now += KEPT_SECONDS
    catalogs.get("nextry", "tools", arguments={})
    assert len(nextry.asked) == 2


def test_other_arguments_are_another_catalog(nextry: Nextry, tools: Toolbox) -> None:
    """The types of one tool are not those of another."""
    catalogs = catalogs_of(tools)
    for tool in ("fabric", "furniture", "fabric"):
        catalogs.get("nextry", "generation_types", arguments={"tool": tool})
    assert nextry.asked == ["/generation/generationTypes?tool=fabric", "/generation/generationTypes?tool=furniture"]


def test_trouble_is_not_kept(nextry: Nextry, tools: Toolbox) -> None:
    """A provider that was away is asked again at once."""
    catalogs = catalogs_of(tools)
    nextry.status = 503
    with pytest.raises(TryLaterError, match="503"):
        catalogs.get("nextry", "tools", arguments={})
    nextry.status = 200
    assert catalogs.get("nextry", "tools", arguments={})


def test_what_a_provider_does_not_offer_is_refused_with_what_it_does(tools: Toolbox) -> None:
    """The message names the catalogs there are."""
    with pytest.raises(InvalidRequestError, match="generation_types, tools"):
        catalogs_of(tools).get("nextry", "styles", arguments={})
    assert [entry["name"] for entry in offered("nextry")] == ["generation_types", "tools"]
