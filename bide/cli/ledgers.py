"""Which ledgers a command goes to, where `BIDE_LEDGERS__<NAME>__...` names several.

A list shows all of them, or the one of `--ledger`. A command about one job or run goes to the ledger that has it. Each
other command needs `--ledger`. Without such variables nothing here does anything, and each name is ''.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bide.cli.connection import CHOSEN, AwayError, ledger_at, named_ledgers
from bide.cli.output import echo
from bide.errors import LedgerAwayError

if TYPE_CHECKING:
    from bide.ledger import Ledger

Found = TypeVar("Found")

#: The exit code of a command that shows what some ledgers have, while another one is away.
PARTLY = 3

#: Where click's context keeps the names of the ledgers that were away.
_MISSING = "bide.ledgers.missing"


def from_each(broker: str | None, read: Callable[[Ledger], Found]) -> list[tuple[str, Found]]:
    """What `read` gives of each ledger, with its name.

    A ledger that is away is named on standard error, and the command ends with `PARTLY`. Raises `ClickException` where
    all of several are away, and what `ledger_at` does for a single one.
    """
    found, away = _ask(broker, read)
    for name, why in away.items():
        echo(f"ledger {name}: {why}", err=True)
    if away and not found:
        raise click.ClickException("no ledger answers")
    _meta().setdefault(_MISSING, []).extend(away)
    return found


def exit_code() -> int:
    """The exit code of a command that went well, as far as ledgers answered."""
    return PARTLY if _meta().get(_MISSING) else 0


def flat(found: Iterable[tuple[str, Iterable[Found]]]) -> list[tuple[str, Found]]:
    """The entries of all lists, each with the name of its ledger."""
    return [(name, each) for name, entries in found for each in entries]


def field(name: str) -> dict[str, str]:
    """The name of a ledger as a field of JSON; none for ''."""
    return {"ledger": name} if name else {}


def column(name: str) -> tuple[str, ...]:
    """The name of a ledger as a cell of a table; none for ''."""
    return (name,) if name else ()


def choose_job(broker: str | None, *job_ids: str, aloud: bool = False) -> str:
    """Have the command go to the ledger that has these jobs; returns its name, which `aloud` also prints.

    Raises `ClickException` where no ledger has one of them, where several have, and where they are in two.
    """
    names = {job_id: _choose(broker, f"job {job_id!r}", partial(_has_job, job_id)) for job_id in dict.fromkeys(job_ids)}
    if len(set(names.values())) > 1:
        where = ", ".join(f"{job_id} in {name}" for job_id, name in names.items())
        raise click.ClickException(f"the jobs are in several ledgers ({where}): name those of each apart")
    return _go_to(next(iter(names.values()), ""), aloud=aloud)


def choose_run(broker: str | None, run_id: str, *, aloud: bool = False) -> str:
    """Have the command go to the ledger that has a run; returns its name, which `aloud` also prints.

    Raises `ClickException` as `choose_job`.
    """
    return _go_to(_choose(broker, f"run {run_id!r}", partial(_has_run, run_id)), aloud=aloud)


def choose_account(broker: str | None, provider: str, account: str | None) -> str:
    """Have the command go to the ledger that has an account, without `account` all of the provider; returns its name.

    That is the ledger whose setting names it, else the one in which it had a job. Raises `UsageError` for none or
    several.
    """
    chosen = _settled(broker)
    known = named_ledgers()
    if chosen is not None or known is None:
        return chosen or ""
    found = known.of_provider(provider) if account is None else {known.of_account(provider, account)} - {""}
    if not found:
        had = from_each(broker, partial(_had_jobs, provider, account))
        found = {name for name, has in had if has}
    if len(found) != 1:
        about = f"{provider}/{account}" if account else provider
        which = (
            f"{', '.join(sorted(found))} have accounts of {about}" if found else f"no ledger is known to have {about}"
        )
        raise click.UsageError(f"{which}: say --ledger NAME; there are {', '.join(known.names)}")
    return _go_to(*found)


def choose_request(broker: str | None, request: Mapping[str, Any]) -> str:
    """Have the command go to the ledger that has the account of a request; raises `InvalidRequestError`."""
    chosen, known = _settled(broker), named_ledgers()
    if chosen is not None or known is None:
        return chosen or ""
    from bide.contract import GenerateRequest  # noqa: PLC0415 - pydantic takes a while, and --help does not need it

    fields = {name: value for name, value in request.items() if name != "inputs"}  # files are no part of a request yet
    return _go_to(known.of_request(GenerateRequest.parse(fields)))


def _choose(broker: str | None, what: str, has: Callable[[Ledger], bool]) -> str:
    """The name of the one ledger that `has` something; raises `ClickException`."""
    if (chosen := _settled(broker)) is not None:
        return chosen
    asked, away = _ask(broker, has)
    found = [name for name, there in asked if there]
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(f"{what} is in several ledgers, {', '.join(found)}: say --ledger NAME")
    looked = ", ".join(name for name, _ in asked)
    gone = "".join(f"; ledger {name} may have it, and is away: {why}" for name, why in away.items())
    nothing = f"nothing is known of a {what} in {looked}: never submitted there, or forgotten since" if looked else what
    raise click.ClickException(nothing + gone)


def _ask(broker: str | None, read: Callable[[Ledger], Found]) -> tuple[list[tuple[str, Found]], dict[str, str]]:
    """What `read` gives of each ledger that answers, by name, and why the others do not."""
    known = named_ledgers()
    if known is None or broker:
        with ledger_at(broker) as ledger:
            return [("", read(ledger))], {}
    found, away, meta = [], {}, _meta()
    before = meta.get(CHOSEN)
    for name in [before] if before else known.names:
        meta[CHOSEN] = name
        try:
            with ledger_at(None) as ledger:
                found.append((name, read(ledger)))
        except (AwayError, LedgerAwayError) as error:
            away[name] = str(error)
        finally:
            meta[CHOSEN] = before
    return found, away


def _settled(broker: str | None) -> str | None:
    """The name of the ledger where there is nothing to choose, None where there is."""
    if broker or named_ledgers() is None:
        return ""
    chosen: str | None = _meta().get(CHOSEN)
    return chosen


def _go_to(name: str, *, aloud: bool = False) -> str:
    if name and aloud:
        echo(f"ledger {name}", err=True)
    if name:
        _meta()[CHOSEN] = name
    return name


def _meta() -> dict[str, Any]:
    """What all contexts of this call of the command share."""
    return click.get_current_context().meta


def _has_job(job_id: str, ledger: Ledger) -> bool:
    """Whether a ledger has a job, or the run of a row whose record is gone."""
    run_id, _, row = job_id.rpartition(".")
    return ledger.jobs.find(job_id) is not None or (row.isdigit() and _has_run(run_id, ledger))


def _has_run(run_id: str, ledger: Ledger) -> bool:
    from bide.bulk.runs import Runs  # noqa: PLC0415 - takes a while, and --help does not need it

    return Runs(ledger.server).read(run_id) is not None


def _had_jobs(provider: str, account: str | None, ledger: Ledger) -> bool:
    return any(it.provider == provider and account in (None, it.account) for it in ledger.accounts.names())
