"""`bide price`: what a request will cost, who says so, and what the amount is worked out from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
from click.shell_completion import CompletionItem

from bide.cli.completion import complete_operation, complete_provider
from bide.cli.connection import deployment_environment
from bide.cli.jobs import request_of, submit
from bide.cli.output import echo, echo_json
from bide.money.quote import SAID_BY

#: The arguments and options of `submit` that say nothing of the request.
_NOT_OF_REQUEST = {"provider", "operation", "waiting", "as_json", "broker", "ledger"}


def _complete(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Providers, and the operations of one that stands before."""
    before = context.params.get("what") or ()
    if not before:
        return complete_provider(context, param, incomplete)
    context.params["provider"] = before[0]
    return complete_operation(context, param, incomplete)


@click.command()
@click.argument("what", metavar="REQUEST.json|-|PROVIDER OPERATION", nargs=-1, shell_complete=_complete)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def price(what: tuple[str, ...], as_json: bool, file: Any, **options: Any) -> None:
    """Say what a request will cost: amount, currency, by whom it is said, and what it is worked out from."""
    from bide.bulk.rates import environment_quotes  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.client.requests import STAND_IN, checked  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.pricing import price_of  # noqa: PLC0415 - slow to import, and --help does not need it

    named, document = _named(what)
    if document and file:
        raise click.UsageError("--request: the request is given already; leave one of the two out")
    given = request_of(document or file, {**named, **options})
    request, _ = checked(given, {}, None, stand_in=STAND_IN)
    found = price_of(request, environment_quotes(deployment_environment())).to_json()
    if as_json:
        echo_json(found)
    else:
        echo(*_lines(found))


price.params.extend(each for each in submit.params if each.name not in _NOT_OF_REQUEST)


def _named(what: tuple[str, ...]) -> tuple[dict[str, str | None], IO[str] | None]:
    """Provider and operation of the arguments, or the opened request that they name."""
    if len(what) > 2:
        raise click.UsageError(f"{what[2]}: is one argument too many; give REQUEST.json, or PROVIDER and OPERATION")
    provider, operation = (*what, None, None)[:2]
    document: IO[str]
    if provider == "-":
        document = click.open_file("-")
    elif provider and (provider.endswith(".json") or Path(provider).is_file()):
        document = io.StringIO(_read(provider))
    else:
        return {"provider": provider, "operation": operation}, None
    if operation:
        raise click.UsageError(f"{operation}: the request in {provider} says its operation; leave it out here")
    return {"provider": None, "operation": None}, document


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{file}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{file}: is not UTF-8") from None


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['amount']} {found['currency']}"
    values: dict[str, Any] = found["price"]["values"]
    rows = {
        "what": f"{found['provider']} {found['operation']}, account {found['account']}",
        "lane": found["lane"],
        "priced": SAID_BY[found["source"]],
        "price": f"{found['price']['name']}: {found['price']['expression']}",
        "with": ", ".join(f"{name} = {_shown(value)}" for name, value in values.items()),
        "at most": f"{found['at_most']} {found['currency']}, as on_unknown allows a second purchase"
        if found["at_most"] != found["amount"]
        else None,
    }
    yield from (f"  {name:10} {value}" for name, value in rows.items() if value)


def _shown(value: Any) -> str:
    """A value of the params in a few characters."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
