"""`bide init`: writes a provider's secrets into `.env`, tries them by one free request, and says what comes next."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from dotenv import set_key

from bide.cli.completion import complete_provider
from bide.cli.connection import read_environment
from bide.cli.output import echo
from bide.settings.reader import env_file

if TYPE_CHECKING:
    from bide.providers.base import Provider

#: How long the provider may take to answer [seconds].
TRY_SECONDS = 60


@click.command()
@click.argument("provider", required=False, shell_complete=complete_provider)
@click.option("--account", default="default", show_default=True, help="The name that the key gets here.")
@click.option("--no-try", is_flag=True, help="Ask the provider nothing.")
def init(provider: str | None, account: str, no_try: bool) -> None:
    """Set a provider up: asks for its key, writes .env, and tries the key without buying anything."""
    from bide.providers import find, installed  # noqa: PLC0415 - the adapters are loaded only where they are shown

    names = sorted(installed())
    adapter = find(provider or click.prompt("Provider", type=click.Choice(names)))
    values = _ask(adapter, account)
    file = env_file()
    _write(file, values)
    echo(f"{file}: set {', '.join(values)}")
    tried = True if no_try else _try(adapter, account)
    echo(*_next_steps(adapter, account))
    if not tried:
        sys.exit(1)


def _ask(adapter: Provider, account: str) -> dict[str, str]:
    """The variables to set, from the person at the terminal."""
    prefix = f"BIDE_PROVIDERS__{adapter.name.upper()}__"
    values = {}
    if not adapter.default_base_url:
        values[f"{prefix}BASE_URL"] = click.prompt(f"Address of {adapter.name}'s API (https://...)", type=str).strip()
    own = "" if account == "default" else f"ACCOUNTS__{account.upper()}__"
    for name in adapter.credentials:
        words = name.replace("_", " ").replace("api", "API")
        asked = f"{words[:1].upper()}{words[1:]} of {adapter.name}"
        values[f"{prefix}{own}{name.upper()}"] = click.prompt(asked, hide_input=True, type=str).strip()
    return values


def _write(file: Path, values: dict[str, str]) -> None:
    """Set the variables in the file and leave all else as it is; only its owner may read it."""
    if not file.exists():
        file.touch(mode=0o600)
    for name, value in values.items():
        set_key(file, name, value, quote_mode="auto")
    file.chmod(0o600)


def _try(adapter: Provider, account: str) -> bool:
    """Ask for the first catalog that needs no argument; whether the key was taken, or could not be tried."""
    free = next((name for name, catalog in sorted(adapter.catalogs.items()) if not catalog.arguments), None)
    if free is None:
        echo(f"{adapter.name} has no request that is free of charge: the first job will show whether the key is right")
        return True
    if not Path("workers", "catalog.py").is_file() or find_spec("httpx") is None:
        echo(f"try the key where the workers run: `bide catalog {adapter.name} {free}`")
        return True
    bucket = read_environment().get("BIDE_S3__BUCKET", "none-yet")  # the settings insist on one, a catalog needs none
    environ = {**os.environ, "BIDE_S3__BUCKET": bucket}
    command = [sys.executable, "-m", "workers.catalog", adapter.name, free, f"--account={account}", "--json"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=TRY_SECONDS, check=False, env=environ)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        echo(f"{adapter.name} did not answer within {TRY_SECONDS} s; `bide catalog {adapter.name} {free}` tries again")
        return False
    if asked.returncode:
        echo(f"asking {adapter.name} failed: {asked.stderr.strip().removeprefix('Error: ')}", err=True)
        return False
    echo(f"{adapter.name} takes the key: `bide catalog {adapter.name} {free}` shows what it offers")
    return True


def _next_steps(adapter: Provider, account: str) -> list[str]:
    named = "" if account == "default" else f" --account {account}"
    operation = min(adapter.operations)
    return [
        "",
        "next:",
        "  make up                                 runs it here, with a broker and a store of its own",
        f"  bide describe {adapter.name:25} what each operation takes",
        f"  bide submit {adapter.name} {operation} -p ... --wait{named}",
    ]
