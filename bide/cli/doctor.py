"""`bide doctor`: what is wrong with this set-up, and how to mend it. The deployment's own program does the checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import complete_ledger, named_ledgers, running_stack
from bide.cli.deployment import become, check_program
from bide.cli.filled import FILLED
from bide.cli.ledgers import field
from bide.cli.output import echo, echo_json
from bide.settings.ledgers import OWN

if TYPE_CHECKING:
    from bide.settings.ledgers import Ledgers


@click.command()
@click.option("--flower", metavar="URL", help="Where Flower stands; default: BIDE_FLOWER__URL, or where it listens.")
@click.option(
    "--ledger",
    type=FILLED,
    metavar="NAME",
    shell_complete=complete_ledger,
    help="The ledger to examine, of those in BIDE_LEDGERS__<NAME>__...",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(flower: str | None, ledger: str | None, as_json: bool) -> None:
    """Say what is wrong with this set-up, and how to mend it."""
    known = named_ledgers()
    if known:
        _examine_each(known, [ledger.lower()] if ledger else known.names, flower, as_json=as_json)
        return
    if ledger:
        raise click.UsageError("--ledger: no ledger is named; set BIDE_LEDGERS__<NAME>__BROKER_URL of each")
    stack = running_stack()
    address = flower or stack.get("flower")
    arguments = [*([f"--flower={address}"] if address else []), *(["--json"] if as_json else [])]
    become("workers.doctor", *arguments, environment=stack.get("environment"))


def _examine_each(known: Ledgers, names: list[str], flower: str | None, *, as_json: bool) -> None:
    """Examine this set-up with each ledger in turn; exits with 1 if something is broken in one."""
    check_program("workers.doctor")
    options = [*([f"--flower={flower}"] if flower else []), *(["--json"] if as_json else [])]
    findings: list[dict[str, Any]] = []
    broken = False
    for name in names:
        environment = {**os.environ, **dict.fromkeys(OWN, ""), **known.environment(name)}
        if not as_json:
            echo(f"ledger {name}")
            sys.stdout.flush()
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "workers.doctor", *options],
            env=environment,
            stdout=subprocess.PIPE if as_json else None,
            text=True,
            check=False,
        )
        broken = broken or done.returncode != 0
        if as_json:
            findings += [{**field(name), **each} for each in json.loads(done.stdout)["findings"]]
    if as_json:
        echo_json({"ok": not broken, "findings": findings})
    raise SystemExit(int(broken))
