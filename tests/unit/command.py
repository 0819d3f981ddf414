"""The `bide` command over a ledger in memory: it gets ledger and client as click's context object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from click.testing import CliRunner, Result

from bide.cli.connection import Connections
from bide.cli.main import main
from bide.client import Client
from bide.ledger import Ledger
from bide.ledger.processes import RunningProcess, note
from bide.storage import Storage
from tests.contract.ledger_stage import Stage

#: The processes of a deployment.
WORKER = RunningProcess("worker-1@here", ("bide.control", "bide.store", "bide.submit"))
POLLER = RunningProcess("poller-2@here", ("bide.poll",))


def attended_stage() -> Stage:
    """A ledger in memory, beside which a worker and a poller run."""
    stage = Stage.in_memory()
    for process in (WORKER, POLLER):
        note(stage.server, process)
    return stage


class Command:
    """Runs `bide`; its commands reach the ledger of `stage`, or meet `error`, and have `client` for a client."""

    def __init__(
        self, stage: Stage, client: object = None, *, error: Exception | None = None, store: Storage | None = None
    ) -> None:
        self._stage, self._double, self._error, self._store = stage, client, error, store

    def __call__(self, *arguments: str, typed: str | None = None) -> Result:
        """Run it, with `typed` on its standard input."""
        return CliRunner().invoke(main, arguments, input=typed, obj=self.connections)

    @property
    def connections(self) -> Connections:
        """The context object that leads commands here."""
        return Connections(self._ledger, self._client, self._store)

    @contextmanager
    def _ledger(self, _: str | None) -> Iterator[Ledger]:
        if self._error:
            raise self._error
        yield Ledger(self._stage.server, clock=self._stage.clock)

    @contextmanager
    def _client(self, _: str | None) -> Iterator[Client]:
        yield cast("Any", self._double)
