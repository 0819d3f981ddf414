"""`bide pause` and `bide resume`: whether a provider's account may submit jobs; polls and downloads always go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bide.cli.completion import complete_provider
from bide.cli.connection import broker_option, ledger_at
from bide.cli.filled import FILLED
from bide.cli.ledgers import choose_account
from bide.cli.output import echo, echo_json

if TYPE_CHECKING:
    from bide.ledger import AccountName, Ledger

#: The name of an account where none is given.
DEFAULT = "default"


def _account(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments and options that pause and resume share."""
    for add in (
        broker_option,
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.argument("account", type=FILLED, required=False),
        click.argument("provider", shell_complete=complete_provider),
    ):
        command = add(command)
    return command


@click.command()
@click.option("--reason", default="no reason given", show_default=True, help="What others read who wonder why.")
@_account
def pause(provider: str, account: str | None, reason: str, broker: str | None, as_json: bool) -> None:
    """Submit nothing more to a provider, or to one ACCOUNT of it, until `bide resume`."""
    choose_account(broker, provider, account)
    with ledger_at(broker) as ledger:
        done = {
            name: ledger.accounts.pause(name, reason=reason, by="operator")
            for name in _named(ledger, provider, account)
        }
        _print(ledger, done, ("is paused: jobs wait in line", "was paused already"), as_json=as_json)


@click.command()
@_account
def resume(provider: str, account: str | None, broker: str | None, as_json: bool) -> None:
    """End the pause of a provider, or of one ACCOUNT of it, and close its circuit breaker."""
    choose_account(broker, provider, account)
    with ledger_at(broker) as ledger:
        done = {name: ledger.accounts.resume(name) for name in _named(ledger, provider, account)}
        outcomes = ("submits again, within seconds", "was neither paused nor kept back by its circuit breaker")
        _print(ledger, done, outcomes, as_json=as_json)


def _named(ledger: Ledger, provider: str, account: str | None) -> list[AccountName]:
    """The account of that name; without a name the provider's default one and all that ever had a job."""
    from bide.ledger import AccountName  # noqa: PLC0415 - Redis takes a while, and --help does not need it
    from bide.providers import installed  # noqa: PLC0415 - slow to import, and --help does not need it

    known = [name for name in ledger.accounts.names() if name.provider == provider]
    if not known and provider not in (there := installed()):
        raise click.ClickException(f"there is no provider {provider!r}; there are {', '.join(sorted(there))}")
    if account:
        named = AccountName(provider, account)
        if known and named not in known:
            echo(f"no job of {named} was ever here; there are {', '.join(map(str, sorted(known)))}", err=True)
        return [named]
    return sorted({*known, AccountName(provider, DEFAULT)})


def _print(ledger: Ledger, done: dict[AccountName, bool], outcomes: tuple[str, str], *, as_json: bool) -> None:
    if as_json:
        echo_json([_account_json(ledger, name, changed) for name, changed in done.items()])
        return
    for name, changed in done.items():
        echo(f"{name} {outcomes[0] if changed else outcomes[1]}")


def _account_json(ledger: Ledger, name: AccountName, changed: bool) -> dict[str, Any]:
    stands = ledger.accounts.state(name)
    return {
        "provider": name.provider,
        "account": name.account,
        "changed": changed,
        "paused": bool(stands.paused),
        "reason": stands.paused or None,
        "waiting": ledger.accounts.count_clocks(name)["queued"],
    }
