"""Catalogs are asked for once and kept some minutes."""

import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from bide.errors import InvalidRequestError, TryLaterError
from config.settings import load
from tests.web_server import WebServer, as_json
from workers.catalog import KEPT_SECONDS, Catalogs, offered
from workers.toolbox import Toolbox

pytestmark = pytest.mark.integration


class Nextry(WebServer):
    """Nextry's catalogs; `status` is what it answers with, `asked` the paths it was asked for."""

    def __init__(self) -> None:
        super().__init__(lambda _: as_json([{"tool": "fabric", "title": "Fabric"}], self.status))
        self.status = 200

    @property
    def asked(self) -> list[str]:
        return [request.target for request in self.seen]


@pytest.fixture
def nextry() -> Iterator[Nextry]:
    """A running server."""
    with Nextry() as server:
        yield server


@pytest.fixture
def tools(nextry: Nextry) -> Iterator[Toolbox]:
    """A toolbox whose Nextry is that server."""
    environment = {
        "BIDE_S3__BUCKET": "results",
        "BIDE_PROVIDERS__NEXTRY__API_KEY": "key-1234",
        "BIDE_PROVIDERS__NEXTRY__BASE_URL": nextry.url,
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
