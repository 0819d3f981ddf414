"""`bide bulk`: begin runs of many rows, watch and steer them, read their results."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bide.cli.bulk_deployment import Deployment, deployed
from bide.cli.bulk_options import limits, run_options, sheet_metadata_option
from bide.cli.bulk_results import refresh, results
from bide.cli.bulk_show import line, sheet_lines, table, watch
from bide.cli.completion import complete_run
from bide.cli.connection import broker_option, deployment_environment
from bide.cli.ledgers import choose_run, column, field, flat, from_each
from bide.cli.output import echo, echo_json
from bide.cli.stores import object_store
from bide.printable import counted

if TYPE_CHECKING:
    from bide.bulk.intake import Intake
    from bide.bulk.record import Run

_OK = "succeeded"


@click.group()
def bulk() -> None:
    """Buy many rows of a file: begin, watch, pause, resume, replay."""


@bulk.command()
@click.argument("file", metavar="FILE|-|s3://...")
@click.option("--template", metavar="FILE", help="The request that the columns of a CSV go into, as {column}.")
@click.option("--tenant", metavar="NAME", help="For whom the rows are that name no tenant.")
@click.option("--run-id", help="The run's name. The same name with the same file joins the run.")
@click.option("--window", type=click.IntRange(1, 20_000), default=500, show_default=True, help="Rows alive at once.")
@limits
@sheet_metadata_option
@click.option("--dry-run", is_flag=True, help="Check all rows, say what would be done, and stop.")
@click.option("--wait", "waiting", is_flag=True, help="Watch it until it is over.")
@broker_option
def run(
    file: str,
    template: str | None,
    run_id: str | None,
    broker: str | None,
    dry_run: bool,
    waiting: bool,
    **options: Any,
) -> None:
    """Begin a run: JSONL with a request a line, or CSV with a template."""
    from bide.bulk.start import new_run_id, open_intake  # noqa: PLC0415 - takes a while, and --help does not need it

    if dry_run:
        environment = deployment_environment()
        checks = _checks(environment, options)
        with open_intake(file, template=template, storage=object_store(environment), **checks) as intake:
            _print_estimate(intake, environment, options)
        return
    with deployed(broker) as deployment:
        checks = _checks(deployment.environment, options)
        with open_intake(file, template=template, storage=deployment.storage, **checks) as intake:
            _begin(deployment, intake, run_id=run_id or new_run_id(), source=file, waiting=waiting, given=options)


@bulk.command()
@click.argument("old", metavar="RUN", shell_complete=complete_run)
@click.option("--code", "codes", multiple=True, help="Only rows that failed with this code. Repeatable.")
@click.option("--run-id", help="The new run's name; asked for twice, it is one run.")
@click.option("--window", type=click.IntRange(1, 20_000), default=500, show_default=True, help="Rows alive at once.")
@limits
@sheet_metadata_option
@click.option("--wait", "waiting", is_flag=True, help="Watch it until it is over.")
@broker_option
def replay(
    old: str, codes: tuple[str, ...], run_id: str | None, broker: str | None, waiting: bool, **options: Any
) -> None:
    """Buy the failed rows of a run again, as a new run; unconfirmed ones never."""
    from bide.bulk import replay as replays  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.intake import take_in  # noqa: PLC0415 - slow to import, and --help does not need it

    replays.check_codes(codes)
    choose_run(broker, old, aloud=True)
    with deployed(broker) as deployment:
        _is_over(deployment, old)
        storage = deployment.storage
        rows = replays.failed_rows(storage, old, codes)
        if not rows:
            raise click.ClickException(f"run {old} has no failed rows" + (" with these codes" if codes else ""))
        quote = _checks(deployment.environment, options)["quote"]
        with closing(take_in(replays.rows_of(storage, old, rows), quote=quote)) as intake:
            name = run_id or replays.replay_id(old, codes)
            source = f"{counted(len(rows), 'failed row')} of {old}"
            given = {**options, "replay_of": old}
            _begin(deployment, intake, run_id=name, source=source, waiting=waiting, given=given)


@bulk.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def list_runs(broker: str | None, as_json: bool) -> None:
    """List the runs that are remembered."""
    from bide.bulk.runs import Runs  # noqa: PLC0415 - takes a while, and --help does not need it

    found = flat(from_each(broker, lambda ledger: [run.progress() for run in Runs(ledger.server).all()]))
    progress = [{**field(name), **each} for name, each in found]
    if as_json:
        echo_json(progress)
        return
    width = max((len(each["run"]) for each in progress), default=0)
    lines = ["  ".join((*column(name), f"{each['run']:{width}}  {line(each)}")) for name, each in found]
    echo(*(lines or ["there are none"]))


@bulk.command()
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def status(run_id: str, broker: str | None, as_json: bool) -> None:
    """Say how far a run is."""
    ledger = choose_run(broker, run_id)
    with deployed(broker) as deployment:
        progress = {**field(ledger), **deployment.run(run_id).progress()}
    if as_json:
        echo_json(progress)
    else:
        echo(*table(progress))


@bulk.command("watch")
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@broker_option
def watch_run(run_id: str, broker: str | None) -> None:
    """Watch a run until it is over; leaving it (Ctrl-C) does not end it."""
    choose_run(broker, run_id, aloud=True)
    with deployed(broker) as deployment:
        _watch(deployment, run_id)


@bulk.command()
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@broker_option
def pause(run_id: str, broker: str | None) -> None:
    """Buy nothing more for now; what is bought is brought home."""
    with _steering(broker, run_id) as deployment:
        if not deployment.runs.pause(run_id, why="paused on request"):
            raise _not_now(deployment, run_id, "does not run")
    echo(f"run {run_id} is paused; `bide bulk resume {run_id}` goes on")


@bulk.command()
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@limits
@broker_option
def resume(run_id: str, broker: str | None, **options: Any) -> None:
    """Go on with a paused run, under other limits if they are given; these may change while it runs, too."""
    from bide.bulk.budget import check_currency  # noqa: PLC0415 - slow to import, and --help does not need it

    with _steering(broker, run_id) as deployment:
        begun = deployment.runs.read(run_id)
        if options.get("budget") is not None and begun and begun.options.budget is None:
            raise click.ClickException(
                f"run {run_id} began without --budget, so nobody has checked that all prices are known; use --max-jobs"
            )
        limits_given = run_options(options)
        if begun:
            check_currency(limits_given, begun.text("budget_currency"))
        if not deployment.runs.resume(run_id, limits_given):
            raise _not_now(deployment, run_id, "is not paused")
    echo(f"run {run_id} goes on")


@bulk.command()
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@broker_option
def cancel(run_id: str, broker: str | None) -> None:
    """End a run; what the providers have accepted is charged, and brought home."""
    with _steering(broker, run_id) as deployment:
        if not deployment.runs.cancel(run_id):
            raise _not_now(deployment, run_id, "is over, or ends already")
    echo(f"run {run_id} is to be canceled; what is bought is brought home")


def _checks(environment: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the intake asks of the deployment's environment."""
    from bide.bulk.rates import (  # noqa: PLC0415 - slow to import, and --help does not need it
        environment_quotes,
        refuses_unknown_params,
    )

    return {
        "refuses": partial(refuses_unknown_params, environment),
        "quote": environment_quotes(environment).quote,
        "most_jobs": given.get("max_jobs"),
        "tenant": given.get("tenant"),
    }


def _print_estimate(intake: Intake, environment: dict[str, str], given: dict[str, Any]) -> None:
    from bide.bulk.budget import with_budget  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.rates import estimate  # noqa: PLC0415 - slow to import, and --help does not need it

    intake.check()
    options = with_budget(run_options(given), intake)
    echo(*estimate(intake, environment, max_jobs=options.max_jobs, budget=options.budget).lines())
    echo("nothing was bought: this was a dry run")


def _begin(
    deployment: Deployment, intake: Intake, *, run_id: str, source: str, waiting: bool, given: dict[str, Any]
) -> None:
    from bide.bulk.budget import with_budget  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.rates import (  # noqa: PLC0415 - slow to import, and --help does not need it
        UNKNOWN_PARAMS,
        environment_quotes,
    )
    from bide.bulk.start import start  # noqa: PLC0415 - slow to import, and --help does not need it

    intake.check()
    prices, currencies = environment_quotes(deployment.environment).to_record()
    options = with_budget(run_options({**given, "prices": prices, "currencies": currencies}), intake)
    begun = start(deployment.runs, deployment.storage, intake, run_id=run_id, source=source, options=options)
    deployment.post.feed_run(run_id)
    echo(run_id)
    counts = f"{counted(intake.rows, 'row')}, {counted(intake.jobs, 'job')}"
    echo(f"{'began' if begun else 'joined'}: {counts}", err=True)
    if intake.unknown_params:
        echo(f"{intake.unknown_params} rows have {UNKNOWN_PARAMS}", err=True)
    if not begun and any(given.get(name) is not None for name in ("budget", "max_jobs", "max_failures")):
        echo("it keeps the limits it began with; pause it, and resume it with others", err=True)
    if waiting:
        sys.stdout.flush()
        _watch(deployment, run_id)


def _watch(deployment: Deployment, run_id: str) -> None:
    try:
        run = watch(lambda: deployment.run(run_id))
    except KeyboardInterrupt:
        echo("", f"run {run_id} goes on; `bide bulk watch {run_id}` joins it again", err=True)
        return
    if advice := _advice(run):
        echo(advice, err=True)
    if run.over:
        echo(*sheet_lines(deployment.storage, run_id, deployment.environment))
    if run.ended[_OK] < run.number("rows"):
        sys.exit(1)


def _advice(run: Run) -> str:
    if run.state == "paused":
        return f"paused: {run.text('note')}; `bide bulk resume {run.run_id}` goes on"
    if failed := run.ended["failed"]:
        return f"`bide bulk replay {run.run_id}` buys the failed row{'' if failed == 1 else 's'} again"
    return run.text("note")


@contextmanager
def _steering(broker: str | None, run_id: str) -> Iterator[Deployment]:
    """The deployment, for a change to a known run; the feeder takes the run up afterwards."""
    choose_run(broker, run_id, aloud=True)
    with deployed(broker) as deployment:
        deployment.run(run_id)
        yield deployment
        deployment.post.feed_run(run_id)


def _is_over(deployment: Deployment, run_id: str) -> None:
    known = deployment.runs.read(run_id)
    if known is not None and not known.over:
        raise click.ClickException(f"run {run_id} goes on ({known.state}): replay it when it is over")


def _not_now(deployment: Deployment, run_id: str, why: str) -> click.ClickException:
    return click.ClickException(f"run {run_id} {why}: it is {deployment.run(run_id).state}")


bulk.add_command(results)
bulk.add_command(refresh)
