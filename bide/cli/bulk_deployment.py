"""The deployment as commands on bulk runs need it: runs, ledger, object store, and the way to the feeder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bide.cli.connection import (
    client_environment,
    ledger_at,
    sentinel_master,
)
from bide.cli.stores import object_store

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
    environment: Mapping[str, str]

    @property
    def storage(self) -> Storage:
        """The deployment's object store; raises `ClickException` where none is known."""
        found = object_store(self.environment)
        if found is None:
            raise click.ClickException("no object store is known: set BIDE_S3__BUCKET, as the workers have it")
        return found

    def run(self, run_id: str) -> Run:
        """A run; raises `ClickException` for one that is not known."""
        found = self.runs.read(run_id)
        if found is None:
            raise click.ClickException(
                f"nothing is known of a run {run_id!r}: never begun here, or forgotten since; "
                f"`bide bulk results {run_id}` reads what it left in object storage"
            )
        return found


@contextmanager
def deployed(broker: str | None) -> Iterator[Deployment]:
    """The deployment of the broker; raises `ClickException` where the broker does not answer."""
    from bide.bulk.runs import Runs  # noqa: PLC0415 - takes a while, and --help does not need it
    from bide.client.post import Post  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.redis_client import results_at  # noqa: PLC0415 - slow to import, and --help does not need it

    environment = client_environment(broker)
    broker_url = environment["BIDE_BROKER_URL"]
    with ledger_at(broker) as ledger:
        ledger_url = environment.get("BIDE_LEDGER_URL") or broker_url
        result_url = environment.get("BIDE_RESULT_URL") or results_at(broker_url, ledger_url)
        post = Post(broker_url, result_url, sentinel_master=sentinel_master(environment))
        try:
            yield Deployment(Runs(ledger.server), ledger, post, environment)
        finally:
            post.close()
