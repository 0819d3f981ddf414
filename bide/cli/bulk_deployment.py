"""What the commands on bulk runs work with: the runs, the object store, and a way to have a run looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bide.cli.connection import (
    environment,
    ledger_at,
    object_store,
    sentinel_master,
    stack_environment,
    surroundings,
)

if TYPE_CHECKING:
    from bide.bulk.record import Run
    from bide.bulk.runs import Runs
    from bide.client.post import Post
    from bide.ledger import Ledger
    from bide.storage import Storage


@dataclass(frozen=True)
class Deployment:
    """A running bide, as far as bulk runs need it."""

    runs: Runs
    ledger: Ledger
    post: Post
    told: Mapping[str, str]

    @property
    def storage(self) -> Storage:
        """Its object store; raises `ClickException` where none is known."""
        found = object_store(self.told)
        if found is None:
            raise click.ClickException("no object store is known: set BIDE_S3__BUCKET, as the workers have it")
        return found

    def run(self, run_id: str) -> Run:
        """A run that is known; raises `ClickException` for another."""
        found = self.runs.read(run_id)
        if found is None:
            raise click.ClickException(
                f"nothing is known of a run {run_id!r}: never begun here, or forgotten since; "
                f"`bide bulk results {run_id}` reads what it left in object storage"
            )
        return found


@contextmanager
def deployed(broker: str | None) -> Iterator[Deployment]:
    """The deployment of the broker, which is seen to answer first; raises `ClickException`."""
    from bide.bulk.runs import Runs  # noqa: PLC0415 - takes a while, and --help does not need it
    from bide.client.post import Post  # noqa: PLC0415 - as above
    from bide.redis_client import results_at  # noqa: PLC0415 - as above

    told = surroundings(broker)
    with ledger_at(broker) as ledger:
        ledger_url = told.get("BIDE_LEDGER_URL") or told["BIDE_BROKER_URL"]
        post = Post(
            told["BIDE_BROKER_URL"],
            told.get("BIDE_RESULT_URL") or results_at(told["BIDE_BROKER_URL"], ledger_url),
            sentinel_master=sentinel_master(told),
        )
        try:
            yield Deployment(Runs(ledger.server), ledger, post, told)
        finally:
            post.close()


def settings_here() -> dict[str, str]:
    """What a command that needs no broker is told: the environment, over that of a stack that runs in this folder."""
    return {**stack_environment(), **environment()}
