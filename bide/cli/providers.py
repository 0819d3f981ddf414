"""`bide providers`: the adapters that are installed, their operations, and which of them are set up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import read_environment, stack_environment
from bide.cli.output import echo_json, echo_paragraphs

if TYPE_CHECKING:
    from bide.providers.base import Operation, Provider

_PICTURES = {
    None: "no pictures",
    "base64": "pictures inside",
    "file": "pictures as files",
    "url": "pictures by address",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def providers(as_json: bool) -> None:
    """List what can be asked for, and whether it is set up here."""
    from bide.providers import installed  # noqa: PLC0415 - the adapters are loaded only where they are shown

    environment = {**stack_environment(), **read_environment()}
    described = [_described(adapter, environment) for _, adapter in sorted(installed().items())]
    if as_json:
        echo_json(described)
    else:
        echo_paragraphs(map(_lines, described))


def _described(adapter: Provider, environment: Mapping[str, str]) -> dict[str, Any]:
    prefix = f"BIDE_PROVIDERS__{adapter.name.upper()}__"
    base_url = environment.get(f"{prefix}BASE_URL") or adapter.default_base_url
    lacking = _accounts(adapter, prefix, environment)
    accounts = sorted(account for account, missing in lacking.items() if not missing)
    missing = [] if accounts else [name for names in lacking.values() for name in names]
    return {
        "provider": adapter.name,
        "base_url": base_url,
        "accounts": accounts,
        "credentials": [f"{prefix}{name.upper()}" for name in adapter.credentials],
        "missing": [*missing, *([] if base_url else [f"{prefix}BASE_URL"])],
        "operations": [_operation(adapter, name, it) for name, it in sorted(adapter.operations.items())],
        "catalogs": {name: catalog.description for name, catalog in sorted(adapter.catalogs.items())},
    }


def _operation(adapter: Provider, name: str, operation: Operation) -> dict[str, Any]:
    plan = adapter.plan_for(name)
    return {
        "operation": name,
        "inputs": operation.inputs.value if operation.inputs else None,
        "required_inputs": sorted(operation.required_inputs),
        "first_poll_seconds": plan.first_seconds,
        "poll_factor": plan.factor,
        "poll_cap_seconds": plan.cap_seconds,
        "deadline_seconds": adapter.deadline_for(name),
    }


def _accounts(adapter: Provider, prefix: str, environment: Mapping[str, str]) -> dict[str, list[str]]:
    """The accounts that the environment speaks of, each with the variables of the secrets that it lacks."""
    accounts: dict[str, set[str]] = {}
    named = re.compile(rf"{prefix}(?:ACCOUNTS__(.+?)__)?([A-Z0-9_]+)")
    for found in filter(None, map(named.fullmatch, environment)):
        accounts.setdefault(found[1] or "", set()).add(found[2].lower())
    secrets = set(adapter.credentials)
    if secrets:
        accounts = {account: variables for account, variables in accounts.items() if variables & secrets}
    return {
        account.lower() or "default": [
            f"{prefix}{f'ACCOUNTS__{account}__' if account else ''}{name.upper()}"
            for name in adapter.credentials
            if name not in variables
        ]
        for account, variables in sorted((accounts or {"": set()}).items())
    }


def _lines(described: Mapping[str, Any]) -> list[str]:
    missing, accounts = ", ".join(described["missing"]), ", ".join(described["accounts"])
    lines = [
        f"{described['provider']}  ({f'not set up: set {missing}' if missing else f'set up, accounts: {accounts}'})"
    ]
    lines.extend(_line(operation) for operation in described["operations"])
    lines.extend(f"  catalog {name}: {about}" for name, about in described["catalogs"].items())
    return lines


def _line(operation: Mapping[str, Any]) -> str:
    polls = f"polled after {operation['first_poll_seconds']:g} s"
    if operation["poll_factor"] > 1:
        polls += f", then x{operation['poll_factor']:g} up to {operation['poll_cap_seconds']:g} s"
    pictures = _PICTURES[operation["inputs"]]
    return f"  {operation['operation']:18} {pictures:20} {polls}; deadline {operation['deadline_seconds']:g} s"
