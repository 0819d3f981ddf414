"""A provider's catalogs (styles, tools, models): asked for once and kept some minutes. `python -m workers.catalog`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from bide.cli.output import PrintableErrors, ProblemsError, echo, echo_json
from bide.errors import BideError, InvalidRequestError
from bide.ledger import AccountName
from bide.providers import find
from bide.settings.problems import ConfigurationProblems
from config.settings import settings
from workers.accounts import Accounts
from workers.io.destination import confined
from workers.io.http import HttpClient
from workers.services.event_loop import EventLoop
from workers.toolbox import command_toolbox

#: How long an answer is kept [seconds]; catalogs change by the day.
KEPT_SECONDS = 300.0

#: Fields that name an entry, the best first; they come before the others in a table.
_NAMING = ("style_id", "tool", "id", "modelID", "name", "title", "status")

Entries = list[dict[str, Any]]


class Catalogs:
    """The catalogs of all accounts, as one process knows them; safe to share between threads."""

    def __init__(
        self,
        accounts: Accounts,
        http: HttpClient,
        event_loop: EventLoop,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts, self._http, self._event_loop = accounts, http, event_loop
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, ...], tuple[float, Entries]] = {}

    def get(self, provider: str, name: str, *, arguments: Mapping[str, str], account: str = "default") -> Entries:
        """The entries of a catalog.

        Raises `InvalidRequestError` for what there is not, `AccountRefusedError`, `TryLaterError`,
        `UnreadableAnswerError`.
        """
        key = (provider, name, account, *sorted(arguments.items()))
        with self._lock:
            until, entries = self._kept.get(key, (0.0, []))
            if self._clock() >= until:
                entries = self._ask(AccountName(provider, account), name, arguments)
                self._kept[key] = (self._clock() + KEPT_SECONDS, entries)
        return entries

    def _ask(self, account: AccountName, name: str, arguments: Mapping[str, str]) -> Entries:
        context = self._accounts.get(account)
        adapter, credentials = context.adapter, context.credentials
        call = confined(adapter.catalog_call(name, arguments, credentials), adapter, credentials)
        answer = self._event_loop.run(self._http.call(call, buys=False))
        return adapter.catalog_outcome(name, answer, credentials)


def offered(provider: str) -> Entries:
    """Which catalogs a provider has."""
    catalogs = sorted(find(provider).catalogs.items())
    return [
        {"name": name, "arguments": ", ".join(catalog.arguments), "description": catalog.description}
        for name, catalog in catalogs
    ]


@click.command(cls=PrintableErrors)
@click.argument("provider")
@click.argument("name", required=False)
@click.option("--arg", "arguments", multiple=True, metavar="K=V")
@click.option("--account", default="default")
@click.option("--json", "as_json", is_flag=True)
def main(provider: str, name: str | None, arguments: tuple[str, ...], account: str, as_json: bool) -> None:
    """Ask a provider what it offers; without NAME, which catalogs it has."""
    try:
        given = dict(map(_pair, arguments))
        entries = _entries(provider, name, given, account) if name else offered(provider)
    except (BideError, ConfigurationProblems) as error:
        raise ProblemsError(str(error)) from None
    if as_json:
        echo_json(entries)
    else:
        echo(*_table(entries))


def _entries(provider: str, name: str, arguments: Mapping[str, str], account: str) -> Entries:
    """Ask once, with connections that are closed afterwards."""
    with command_toolbox(settings(), asks_ledger=False) as tools:
        catalogs = Catalogs(tools.accounts, tools.http, tools.event_loop)
        return catalogs.get(provider, name, arguments=arguments, account=account)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise InvalidRequestError(f"--arg {text}: is not of the form key=value")
    return name, value


def _table(entries: Entries) -> list[str]:
    """One entry a line, with the fields that name it first, nested values left to `--json`."""
    fields = {name for entry in entries for name, value in entry.items() if not isinstance(value, dict | list)}
    names = [name for name in _NAMING if name in fields] + sorted(fields - set(_NAMING))
    rows = [names, *([str(entry.get(name, "")) for name in names] for entry in entries)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(names))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


if __name__ == "__main__":
    sys.exit(main(prog_name="bide catalog"))
