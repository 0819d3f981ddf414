"""A deployment in memory with budgets, statements and receipts, whose ledger may be lost or go back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bide.errors import SubmissionUnknownError
from bide.ledger.identity import deployment_of
from bide.ledger.safety import LEDGER_KEY
from bide.statements import Statements
from tests.unit.atelier import BASE
from tests.unit.receipts_world import World, opened
from workers.services.budgets import Budgets

PRICE, DAY_SECONDS = 40_000, 24 * 3600.0

#: Noon of a day in the middle of a month; what follows it in a test is over by now.
NOON = (datetime.now(UTC).replace(day=1, hour=12, minute=0) - timedelta(days=46)).replace(day=15).timestamp()

FILE = "".join(
    f'[budgets.{name}]\namount = 100\ncurrency = "USD"\n{more}\n'
    for name, more in {
        "of_day": 'per = "day"',
        "of_month": 'per = "month"',
        "of_all": "",
        "of_ada": 'per = "month"\ntenant = "ada"',
        "of_account": 'per = "month"\nprovider = "atelier"\naccount = "default"',
    }.items()
)


@contextmanager
def with_budgets(folder: Path) -> Iterator[World]:
    """A picture costs 0.04, and stands in five budgets; `folder` has their file."""
    with opened(PRICES='{"paint": 0.04}') as world, pytest.MonkeyPatch.context() as patch:
        world.clock.now = NOON
        (folder / "budgets.toml").write_text(FILE)
        world.budgets = Budgets(world.settings, file=folder / "budgets.toml")
        world.budgets.load()
        clock = SimpleNamespace(time=world.clock, monotonic=time.monotonic)
        patch.setattr("workers.services.receipt_writer.time", clock)
        identify(world, "first")
        yield world


def identify(world: World, ledger_id: str) -> None:
    """What a worker does with a ledger that it knows, and the sweeper."""
    world.server.hset(LEDGER_KEY, "id", ledger_id)
    world.ledger.budgets.publish(world.budgets.current())


def buy(world: World, job_id: str, tenant: str = "ada") -> None:
    """A submit that is accepted."""
    world.replies["POST", f"{BASE}/works"].clear()
    world.reply("POST", f"{BASE}/works", {"id": f"p-{job_id}"})
    world.submit(job_id, tenant=tenant)


def doubt(world: World, job_id: str) -> None:
    """A submit whose answer is lost."""
    world.replies["POST", f"{BASE}/works"].clear()
    world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.submit(job_id)


def write(world: World) -> None:
    """One turn of the writer of statements, well apart from what is bought."""
    world.clock.advance(10)
    settings = world.settings
    deployment = deployment_of(settings.ledger_url, sentinel_master=settings.sentinel_master)
    Statements(world.ledger, world.storage, deployment=deployment).write()
    world.clock.advance(10)


def stood(world: World) -> dict[str, int]:
    """What is reserved and spent in each budget of today."""
    return {it.budget.name: it.reserved + it.spent for it in world.ledger.budgets.stands(world.budgets.current())}


def forget_receipts(world: World, *, most: int | None = None) -> None:
    """A rule of the store has removed the oldest."""
    for key in [each for each in world.bucket.client.objects if each.startswith("bide-receipts/")][:most]:
        del world.bucket.client.objects[key]


def lose(world: World) -> None:
    """Redis has nothing any more; workers have published their budgets."""
    world.lose()
    identify(world, "second")


def backup_of(world: World) -> dict[str, bytes]:
    """All that Redis has."""
    return {str(key): world.server.dump(key) or b"" for key in world.server.keys("*")}


def restore(world: World, backup: dict[str, bytes]) -> None:
    """Redis comes back with an older state."""
    world.receipts.stop()
    world.server.flushall()
    for key, content in backup.items():
        world.server.restore(key, 0, content)
    world.start_writer()


def refuse(world: World, job_id: str, meanwhile: Callable[[], object] | None = None) -> None:
    """A submit that is refused; `meanwhile` runs while it is under way."""
    world.replies["POST", f"{BASE}/works"].clear()
    world.reply("POST", f"{BASE}/works", {"message": "no"}, status=422)
    world.meanwhile = meanwhile
    world.submit(job_id, tenant="ada")
    world.meanwhile = None


def killed(world: World) -> None:
    """A writer of statements dies as soon as the first statement stands in the bucket."""
    put = world.storage.put

    def put_and_die(*args: Any, **how: Any) -> None:
        put(*args, **how)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.storage, "put", put_and_die)
        with suppress(KeyboardInterrupt):
            write(world)


def recovered(world: World) -> dict[str, int]:
    """What stands in each budget after a recovery, a second one, and the writer's turn."""
    world.recover()
    found = stood(world)
    world.recover()
    write(world)
    assert stood(world) == found
    return found
