"""`Client.price`: what a request will cost, by the prices that workers have published, as `bide price` says it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from celery import Celery
from click.testing import CliRunner

from bide.bulk.runs import Runs
from bide.cli.main import main
from bide.client import AsyncClient, Client
from bide.client.prices import price_by_ledger
from bide.client.requests import Options
from bide.errors import InvalidRequestError, PriceUnknownError
from bide.ledger import Ledger
from bide.ledger.keys import PRICES_KEY
from bide.params import photogpt
from bide.settings.prices import quotes_of
from config.settings import load
from workers.services.dispatcher import Dispatcher
from workers.services.sweeper import Sweeper

#: The prices of a deployment: by a param, of a model, of one account in its own currency, and of another that has none.
SETTINGS = {
    "BIDE_S3__BUCKET": "results",
    "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "k",
    "BIDE_PROVIDERS__PHOTOGPT__PRICES": json.dumps({
        "images.generation": "0.02 * (params.numImages or 1)",
        "images.generation big": 0.1,
    }),
    "BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__PRICES": '{"images.generation": "params.numImages"}',
    "BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__CURRENCY": "credits",
    "BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__C__PRICES": "{}",
}  # fmt: skip
REQUEST: dict[str, Any] = {
    "provider": "photogpt",
    "operation": "images.generation",
    "params": {"modelID": "m1", "prompt": "a red fox", "numImages": 4},
}


@pytest.fixture
def ledger() -> Ledger:
    """A ledger without any job."""
    return Ledger(fakeredis.FakeRedis(decode_responses=True, version=(7,)))


@pytest.fixture
def swept(ledger: Ledger) -> Iterator[Ledger]:
    """The same, after a worker with these settings has swept it."""
    app = Celery(broker="memory://", set_as_current=False)
    quotes = quotes_of(load(SETTINGS, env_file=None).providers)
    sweeper = Sweeper(
        app, ledger, Runs(ledger.server), Dispatcher(app), sweep_seconds=1, quotes=quotes
    )  # no account, so that it sends nothing
    sweeper.sweep()
    yield ledger
    app.close()


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({}, {}),
        ({"params": {**REQUEST["params"], "modelID": "big"}}, {}),
        ({}, {"on_unknown": "resubmit"}),
        ({}, {"account": "b"}),
        ({"provider": "comfyui", "operation": "prompt", "params": {"prompt": {"1": {"class_type": "SaveImage"}}}}, {}),
    ],
)
def test_the_answer_is_that_of_the_command(
    swept: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: dict[str, Any], options: Options
) -> None:
    """To the last field; the client has no settings."""
    found = price_by_ledger(swept, {**REQUEST, **change}, options)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(main, ["price", "-", "--json"], input=json.dumps({**REQUEST, **change, **options}))
    assert found.to_json() == json.loads(printed.stdout)


def test_amounts_are_decimals(swept: Ledger) -> None:
    """So that a caller's own sums are exact."""
    found = price_by_ledger(swept, photogpt.ImagesGeneration(modelID="m1", prompt="a red fox", numImages=4), {})
    assert (found.amount, found.currency, found.source) == (Decimal("0.08"), "USD", "settings")
    assert (found.name, found.values, found.lane) == ("images.generation", {"params.numImages": 4}, "m1")


def test_no_input_is_read(swept: Ledger, tmp_path: Path) -> None:
    """Neither one that is not there, nor one that is too large for a message."""
    face: dict[str, str | bytes | Path] = {"Face": tmp_path / "not-there.jpg", "Fon": b"0" * 9_000_000}
    request = {"provider": "cyberphotobooth", "operation": "generate", "params": {"mode": "m", "style": "1"}}
    with pytest.raises(PriceUnknownError, match="cyberphotobooth generate has no price; set BIDE_PROVIDERS__CYBER"):
        price_by_ledger(swept, request, {"inputs": face})


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"operation": "nope"}, InvalidRequestError, "has no 'nope'"),
        ({"provider": "nope"}, InvalidRequestError, "there is no 'nope'"),
        ({"params": {"modelID": "m1"}}, InvalidRequestError, "prompt is required"),
        ({"operation": "images.upscaling", "params": {"imageID": "i"}}, PriceUnknownError, "has no price"),
        ({"account": "c"}, PriceUnknownError, "has no price"),
        ({"account": "b", "params": {"modelID": "m1", "prompt": "x"}}, PriceUnknownError, "lacks params.numImages"),
        ({"params": {**REQUEST["params"], "numImages": 10**12}}, PriceUnknownError, "comes to more than"),
    ],
)
def test_what_has_no_price_raises(swept: Ledger, change: dict[str, Any], kind: type[Exception], says: str) -> None:
    """A request that can't be served, and a price that is not known, are two errors; neither is a 0."""
    with pytest.raises(kind, match=says):
        price_by_ledger(swept, {**REQUEST, **change}, {})


def test_prices_that_were_never_published_are_not_known(ledger: Ledger) -> None:
    """Also where the adapter has one: the settings may have another."""
    with pytest.raises(PriceUnknownError, match="has not published its prices"):
        price_by_ledger(ledger, REQUEST, {})


def test_published_prices_do_not_stay_for_ever(swept: Ledger) -> None:
    """A deployment that is given up leaves nothing."""
    texts = [str(key) for key in swept.server.scan_iter("bide:*", _type="string")]
    assert PRICES_KEY in texts
    assert all(swept.server.ttl(key) > 0 for key in texts)


def test_prices_of_a_later_release_are_not_known(ledger: Ledger) -> None:
    """No price is passed over for the next one that fits."""
    later = {"photogpt": {"prices": {"images.generation": 1, "images.generation m1": "per_pixel(3)"}, "currency": ""}}
    ledger.prices.publish(json.dumps(later))
    with pytest.raises(PriceUnknownError, match="upgrade the client"):
        price_by_ledger(ledger, REQUEST, {})


def test_both_clients_ask_the_ledger(swept: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options win over the request's own fields, as at `submit`."""
    client = Client("redis://127.0.0.1:1")
    monkeypatch.setattr(client, "_ledger", swept)
    assert client.price(REQUEST, on_unknown="resubmit").at_most == Decimal("0.16")
    client.close()

    async def ask() -> Decimal:
        async with AsyncClient("redis://127.0.0.1:1") as own:
            monkeypatch.setattr(own._client, "_ledger", swept)
            return (await own.price(REQUEST, account="b")).amount

    assert asyncio.run(ask()) == 4
