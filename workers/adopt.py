"""Takes up a purchase that no record knows: `python -m workers.adopt`. Its job is polled and stored as any other."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, TextIO

import click

from bide import strict_json
from bide.bulk.names import RUN_ID
from bide.bulk.runs import Runs
from bide.cli.output import PrintableErrors, ProblemsError, echo, echo_json
from bide.contract import JOB_ID, GenerateRequest, JobState
from bide.errors import BideError, InvalidRequestError, NoReceiptError
from bide.ledger import AccountName
from bide.ledger.records import BoughtWith
from bide.ledger.recovery import Lost, TakenUp, new_fields
from bide.money.amounts import exact
from bide.money.budgets import Budget
from bide.money.quote import Quote
from bide.providers import find
from bide.settings.problems import ConfigurationProblems
from config.settings import settings
from workers.accounts import AccountContext
from workers.toolbox import Toolbox, command_toolbox

#: What an id of a provider looks like: visible, and in one word, since a record keeps several in one text.
PROVIDER_ID = re.compile(r"[!-~]{1,512}")

#: The note of such a record.
ADOPTED = "adopted: it was bought outside of this ledger, an operator named its id at the provider"


def adopt(tools: Toolbox, account: AccountName, job_id: str, provider_job_id: str, request: GenerateRequest) -> None:
    """Write the record of a job that the provider has under an id; the job is polled within a sweep.

    Its purchase stands in the book and in the budgets that cover it, also where one has no room: a warning says so.

    Raises `InvalidRequestError` where the account is unknown, an id has a wrong form, one of them is known already, or
    the job would be the row of a bulk run that there is.
    """
    if not JOB_ID.fullmatch(job_id):
        raise InvalidRequestError("JOB: a job id is letters, digits and _.:- only, 128 at most")
    if not PROVIDER_ID.fullmatch(provider_job_id):
        raise InvalidRequestError("PROVIDER_ID: the provider's id is one word of visible ASCII, 512 at most")
    _check_no_row(tools, job_id)
    context = context_of(tools, account)
    money = _Money.of(tools, context, request)
    holder = tools.ledger.unconfirmed.holders(account, [provider_job_id]).get(provider_job_id)
    lost = _lost(context, job_id, provider_job_id, request, money, now=tools.ledger.executor.now())
    taken = TakenUp("held", holder) if holder else tools.ledger.recovery.take_up(lost)
    if taken.what == "held":
        held = f"{provider_job_id} is the provider's id of job {taken.other} already"
        raise InvalidRequestError(f"{held}: nothing was changed")
    if taken.what != "taken":
        state = f", it is {taken.other}" if taken.what == "known" else ""
        raise InvalidRequestError(f"there is a job {job_id} already{state}: take another id")
    _write_receipt(tools, account, job_id)
    for warning in money.warnings(tools):
        echo(f"warning: {warning}", err=True)


def _check_no_row(tools: Toolbox, job_id: str) -> None:
    run_id, _, row = job_id.rpartition(".")
    if RUN_ID.fullmatch(run_id) and row.isdecimal() and Runs(tools.ledger.server).read(run_id):
        named = f"{job_id} is the id of a row of the bulk run {run_id}"
        raise InvalidRequestError(f"JOB: {named}, and the run has its own request for it: take another id")


def context_of(tools: Toolbox, account: AccountName) -> AccountContext:
    """The account; raises `InvalidRequestError` where there is no such provider, or no such account here."""
    find(account.provider)
    return tools.accounts.get(account)


def request_of(context: AccountContext, file: TextIO | None, operation: str | None) -> GenerateRequest:
    """What was asked for: a whole request, or its operation, which may be left out where there is one alone."""
    name = context.name
    if file is not None:
        given = strict_json.loads(file.read())
        if not isinstance(given, dict):
            raise InvalidRequestError("--request: must be a JSON object")
        request = GenerateRequest.parse({"provider": name.provider, "account": name.account, **given})
        if AccountName.of(request) != name or request.fallbacks:
            raise InvalidRequestError(f"--request: must be one for {name}, without fallbacks")
        context.check(request)
        return request
    known = sorted(context.adapter.operations)
    if (operation is None and len(known) > 1) or operation not in (None, *known):
        raise InvalidRequestError(f"--operation: name what made it; {name.provider} has {', '.join(known)}")
    return GenerateRequest(provider=name.provider, account=name.account, operation=operation or known[0])


@dataclass(frozen=True)
class _Money:
    """What the purchase costs, and the budgets that cover it."""

    quote: Quote
    lane: str
    covering: tuple[Budget, ...]

    @classmethod
    def of(cls, tools: Toolbox, context: AccountContext, request: GenerateRequest) -> Self:
        """By the settings and budgets of now; raises `ConfigurationProblems`."""
        lane = context.lane(request) if request.params else ""
        about = {"tenant": request.tenant or "", "account": str(context.name), "lane": lane}
        tools.budgets.load()
        covering = tuple(each for each in tools.budgets.current() if each.covers(**about))
        return cls(context.quote(request), lane, covering)

    @property
    def budgets(self) -> list[Budget]:
        """Those that can count it."""
        known = self.quote.amount is not None
        return [each for each in self.covering if known and each.currency == self.quote.currency]

    def fields(self, now: float) -> dict[str, str]:
        """The fields of the record that have the purchase booked."""
        price, day = (
            "" if self.quote.amount is None else str(self.quote.amount),
            datetime.fromtimestamp(now, UTC).date(),
        )
        names = ",".join(f"{each.name}@{each.period(day)}" for each in self.budgets)
        return {
            "price": price,
            "currency": self.quote.currency,
            "priced_by": self.quote.source,
            "booked": f"1 {now:.0f} {price or '?'} n 0 l {names}",
        }

    def warnings(self, tools: Toolbox) -> Iterator[str]:
        """The money is spent, whatever the budgets say: which are exceeded now, and which can't count it."""
        for it in tools.ledger.budgets.stands(self.budgets):
            if it.reserved + it.spent > it.budget.amount:
                amounts = f"{exact(it.reserved + it.spent)} of {exact(it.budget.amount)} {it.budget.currency}"
                yield f"budget {it.budget.name} is exceeded: {amounts} are reserved or spent"
        why = "its price is not known" if self.quote.amount is None else f"its price is in {self.quote.currency}"
        for each in self.covering:
            if each not in self.budgets:
                yield f"budget {each.name} does not count it: {why}"


def _lost(
    context: AccountContext,
    job_id: str,
    provider_job_id: str,
    request: GenerateRequest,
    money: _Money,
    *,
    now: float,
) -> Lost:
    adapter = context.adapter
    deadline_seconds = request.deadline_seconds or context.deadline_seconds(request.operation)
    fields = new_fields(request, lane=money.lane, created=now, deadline_seconds=deadline_seconds)
    return Lost(
        job_id,
        context.name,
        JobState.RUNNING,
        fields | money.fields(now),
        request,
        1,
        accepted=True,
        provider_job_id=provider_job_id,
        bought_with=BoughtWith(context.anywhere.base_url, f"{adapter.name} {adapter.version}"),
        note=ADOPTED,
        names=False,
    )


def _write_receipt(tools: Toolbox, account: AccountName, job_id: str) -> None:
    """Have the bucket know of the purchase, too, where receipts are on."""
    record = tools.ledger.jobs.read(account, job_id)
    assert record is not None  # noqa: S101 - it was written just now
    bought_with = BoughtWith(record.text("base_url"), record.text("adapter"))
    try:
        tools.receipts.begin(record, 1)
    except NoReceiptError as error:
        echo(f"warning: it has no receipt: {error}", err=True)
    else:
        tools.receipts.accepted(record, 1, record.text("pid"), bought_with, outputs="", partial="")


@click.command(cls=PrintableErrors)
@click.argument("provider")
@click.argument("account")
@click.argument("job_id")
@click.argument("provider_job_id")
@click.option("--request", "file", type=click.File())
@click.option("--operation")
@click.option("--json", "as_json", is_flag=True)
def main(
    provider: str,
    account: str,
    job_id: str,
    provider_job_id: str,
    file: TextIO | None,
    operation: str | None,
    as_json: bool,
) -> None:
    """Take up a purchase that no record knows."""
    name = AccountName(provider, account)
    try:
        with command_toolbox(settings()) as tools:
            request = request_of(context_of(tools, name), file, operation)
            adopt(tools, name, job_id, provider_job_id, request)
    except (BideError, ConfigurationProblems, ValueError) as error:
        raise ProblemsError(str(error)) from None
    if as_json:
        echo_json({"job_id": job_id, "account": str(name), "provider_job_id": provider_job_id, "state": "running"})
    else:
        echo(f"{job_id} goes on as {provider_job_id} of {name}: it is polled within seconds")


if __name__ == "__main__":
    sys.exit(main(prog_name="bide adopt"))
