"""Commands that need the deployment's folder: the process becomes one of its programs, with signals and terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import click

from bide.cli.completion import complete_provider
from bide.cli.connection import stack_environment

#: The packages that each program needs besides this one, and the extra that brings them.
_NEEDED = {
    "workers.embedded": (("honcho", "rich", "structlog"), "embedded"),
    "workers.catalog": (("httpx",), "worker"),
    "workers.try_provider": (("httpx",), "worker"),
    "workers.unconfirmed": (("httpx",), "worker"),
    "workers.adopt": (("httpx",), "worker"),
    "workers.recover": (("httpx", "boto3", "structlog"), "worker"),
    "workers.doctor": (("httpx", "boto3", "structlog"), "worker"),
    "workers.hooks": (("aiohttp", "structlog"), "worker"),
    "workers.pages": (("aiohttp", "jinja2", "structlog"), "worker"),
    "workers.metrics": (("prometheus_client", "structlog"), "worker"),
    "workers.scheduling": (("redbeat", "cronsim", "structlog"), "worker"),
}


@click.command()
@click.option("--keep", is_flag=True, help="Keep it running afterwards, until Ctrl-C.")
def demo(keep: bool) -> None:
    """See it work: all providers, simulated, with everything they need."""
    become("workers.embedded", "demo", *(["--keep"] if keep else []))


@click.command()
@click.option("--servers-only", is_flag=True, help="Only the servers, for processes that honcho runs.")
@click.option(
    "--replicated", is_flag=True, help="The broker as a leader with replicas and sentinels, to try failovers."
)
def up(servers_only: bool, replicated: bool) -> None:
    """Run it here with your own providers; brings a broker and a store if none is set."""
    options = {"--servers-only": servers_only, "--replicated": replicated}
    become("workers.embedded", "up", *(name for name, given in options.items() if given))


@click.command()
@click.argument("provider", shell_complete=complete_provider)
@click.argument("name", required=False)
@click.option("--arg", "arguments", multiple=True, metavar="K=V", help="An argument of the catalog; may be repeated.")
@click.option("--account", default="default", show_default=True, help="The account to ask as.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def catalog(provider: str, name: str | None, arguments: tuple[str, ...], account: str, as_json: bool) -> None:
    """Ask a provider what it offers: styles, tools, models."""
    options = [f"--arg={argument}" for argument in arguments] + [f"--account={account}"]
    named = [provider, *([name] if name else [])]
    become("workers.catalog", *options, *(["--json"] if as_json else []), "--", *named, environment=stack_environment())


def become(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process by a program of the deployment; raises `ClickException` where there is none."""
    check_program(module)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], {**os.environ, **(environment or {})})  # noqa: S606 - no shell is wanted


def check_program(module: str) -> None:
    """Raise `ClickException` where this folder has no such program of a deployment, or lacks what it needs."""
    place = Path(*module.split("."))
    if not (place.with_suffix(".py").is_file() or place.is_dir()):
        raise click.ClickException(
            f"{Path.cwd()} holds no bide deployment (there is no {place}): change to the folder of the repository"
        )
    packages, extra = _NEEDED[module]
    if missing := [package for package in packages if find_spec(package) is None]:
        raise click.ClickException(
            f"{', '.join(missing)}: not installed; run `pip install -e '.[{extra}]'` in {Path.cwd()}"
        )
