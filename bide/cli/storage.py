"""`bide storage`: the rules by which the bucket removes objects after the days that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import deployment_environment, known_store
from bide.cli.output import echo, echo_json

if TYPE_CHECKING:
    from bide.lifecycle import Lifecycle
    from bide.retention import Retention
    from bide.storage import Storage

#: What the variables begin with that say which rules there are to be.
PREFIX = "BIDE_RETENTION__"


@click.group()
def storage() -> None:
    """Look after the bucket of the results."""


@storage.command()
@click.option(
    "--apply", "applies", is_flag=True, help="Write the rules that are missing; other rules stay as they are."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lifecycle(applies: bool, as_json: bool) -> None:
    """Show the bucket's lifecycle rules, and what `retention_days` needs; exit code 1 where they differ."""
    from bide import lifecycle as rules  # noqa: PLC0415 - slow to import, and --help does not need it

    store, wanted = known_store(), retention()
    found = (rules.apply if applies else rules.read)(store, wanted.all_days, receipts_days=receipts_days())
    if as_json:
        echo_json(_described(found, store))
    else:
        _print(found, store)
    if not found.in_place:
        raise SystemExit(1)


def retention(broker: str | None = None) -> Retention:
    """What the environment says of retention; raises `ClickException` for what can't be read."""
    from pydantic import ValidationError  # noqa: PLC0415 - takes a while, and --help does not need it

    from bide.settings.retention import RetentionSettings  # noqa: PLC0415 - as above

    environment = deployment_environment(broker)
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
    try:
        found = RetentionSettings.model_validate(
            {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
        )
        problems = list(map(str, found.problems()))
    except ValidationError as error:
        problems = list(map(_problem, error.errors(include_url=False, include_input=False)))
    if problems:
        raise click.ClickException("; ".join(problems))
    return found.resolved


def _problem(details: Any) -> str:
    """A value that is wrong, or a variable that there is not, with what to do."""
    from bide.settings.problems import must  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.settings.retention import RetentionSettings  # noqa: PLC0415 - as above

    name = str(details["loc"][0])
    known = RetentionSettings.model_fields.get(name)
    if known is None:
        names = ", ".join(f"{PREFIX}{each.upper()}" for each in RetentionSettings.model_fields)
        return f"{PREFIX}{name.upper()}: there is no such variable; there are {names}"
    return f"{PREFIX}{name.upper()}: {must(details['msg'])}; set it to {known.description}"


def receipts_days() -> int | None:
    """For how long receipts are needed as the environment has it; None where there are none."""
    from bide.receipts import needed_days  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.settings.sections import TimingSettings  # noqa: PLC0415 - as above

    environment = deployment_environment()
    if environment.get("BIDE_LEDGER__RECEIPTS", "off").lower() == "off":
        return None
    days = environment.get("BIDE_TIMING__RETENTION_DAYS") or TimingSettings().retention_days
    try:
        return needed_days(int(days))
    except ValueError:
        raise click.ClickException(f"BIDE_TIMING__RETENTION_DAYS: {days} is no number of days") from None


def _described(found: Lifecycle, store: Storage) -> dict[str, object]:
    return {
        "bucket": store.options.bucket,
        "in_place": found.in_place,
        "missing_days": found.missing,
        "different_days": found.different,
        "receipts": found.receipts,
        "kept_rules": found.kept,
        "found": {"Rules": found.found},
        "wanted": {"Rules": found.wanted},
    }


def _print(found: Lifecycle, store: Storage) -> None:
    echo(f"the bucket {store.options.bucket} has these lifecycle rules:")
    echo_json({"Rules": found.found})
    if found.in_place:
        echo("each number of days that may be asked for has its rule")
    for days in found.missing:
        echo(f"missing: the rule for retention_days {days}")
    for days in found.different:
        echo(f"different: the rule for retention_days {days} does not do what it is for")
    if found.receipts:
        echo(found.receipts)
    for name in found.kept:
        echo(f"kept: {name} is asked for no more; objects may still have its tag")
    if not found.in_place:
        echo("all rules as `bide storage lifecycle --apply` writes them:")
        echo_json({"Rules": found.wanted})
