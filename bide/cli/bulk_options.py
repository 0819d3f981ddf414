"""The options that limit a bulk run, and the run's own options made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bide.bulk.record import Options


def limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that limit a run."""
    for option in (
        click.option(
            "--budget", metavar="MONEY", help='Never spend more: 5 or "5 USD". Each row needs a price (`bide price`).'
        ),
        click.option("--max-failures", metavar="N|N%", help="Pause when more rows, or a larger share, failed."),
        click.option("--max-jobs", type=click.IntRange(0), help="Buy this many jobs at most; other rows are left out."),
    ):
        command = option(command)
    return command


#: The option that says what the contact sheet shows besides pictures and prompts.
sheet_metadata_option = click.option(
    "--sheet-metadata", multiple=True, metavar="NAME", help="Metadata that the contact sheet shows. Repeatable."
)


def run_options(given: dict[str, Any]) -> Options:
    """The options of a run, as the command line gives them; raises `InvalidRequestError`."""
    from bide.bulk.record import Failures, Options  # noqa: PLC0415 - slow to import, and --help does not need it

    failures = given.get("max_failures")
    others = {
        name: given[name]
        for name in ("window", "max_jobs", "prices", "currencies", "replay_of", "sheet_metadata")
        if given.get(name) is not None
    }
    return Options(
        **_budget(given.get("budget")),
        max_failures=None if failures is None else Failures.parse(failures),
        **others,
    )


def _budget(text: str | None) -> dict[str, Any]:
    from bide.bulk.budget import as_budget  # noqa: PLC0415 - takes a while, and --help does not need it

    if text is None:
        return {}
    amount, currency = as_budget(text, what="--budget")
    return {"budget": amount, "budget_currency": currency}
