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
    accounts = _accounts(adapter, prefix, environment)
    missing = [] if accounts else _missing(adapter, prefix, environment)
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


def _accounts(adapter: Provider, prefix: str, environment: Mapping[str, str]) -> list[str]:
    """The accounts that have a secret; without any to have, those that the environment speaks of."""
    wanted = "|".join(map(str.upper, adapter.credentials)) or r"[A-Z_]+"
    named = re.compile(rf"{prefix}(?:ACCOUNTS__(.+)__)?(?:{wanted})")
    found = {(match[1] or "default").lower() for match in map(named.fullmatch, environment) if match}
    return sorted(found if adapter.credentials or found else {"default"})


def _missing(adapter: Provider, prefix: str, environment: Mapping[str, str]) -> list[str]:
    return [name for each in adapter.credentials if (name := f"{prefix}{each.upper()}") not in environment]


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
