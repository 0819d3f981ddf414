"""Asks providers which of their recent jobs an unconfirmed submit may have become. `python -m workers.unconfirmed`.

It lists them for an operator, or settles what an account with `SETTLE=listing` may settle by them.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from bide.cli.output import PrintableErrors, ProblemsError
from bide.cli.unconfirmed import described, show, show_settled
from bide.describe import prompt_of
from bide.errors import BideError
from bide.ledger import Record
from bide.ledger.records import BoughtWith
from bide.providers import find
from bide.providers.base import Listed
from bide.settings.problems import ConfigurationProblems
from config.settings import settings
from workers.accounts import AccountContext
from workers.listed import IncompleteListError, Match, match_listed, read_list, sending_seconds_of
from workers.toolbox import Toolbox, command_toolbox

#: How far clocks may differ, and how long a provider may take to note a submit after it was sent.
EARLIER, LATER = timedelta(minutes=2), timedelta(minutes=10)

#: The caution about candidates of a job that is older than what the ledger remembers of other jobs.
FORGOTTEN = "it is older than what is remembered of other jobs: a candidate may be one that was forgotten since"


def with_candidates(tools: Toolbox) -> Iterator[dict[str, Any]]:
    """Every job that an operator may settle, with the provider's jobs that it may be: by prompt, then by time."""
    for account in tools.ledger.accounts.names():
        for record in tools.ledger.unconfirmed.doubtful(account):
            yield {**described(record), "prompt": prompt_of(record.request.params), **_candidates(tools, record)}


def _candidates(tools: Toolbox, record: Record) -> dict[str, Any]:
    submitted, provider = record.moment("intended"), record.account.provider
    try:
        if submitted is None or record.text("op") not in find(provider).listed_operations:
            return {"candidates": None, "why_none": f"{provider} has no list of such jobs; ask its support"}
        listed = _listed(tools, record, submitted)
    except BideError as error:
        return {"candidates": None, "why_none": f"{provider} could not be asked: {error}"}
    # Looked up after the list was read: what another job bought meanwhile is recorded by then, most likely.
    held = tools.ledger.unconfirmed.holders(record.account, [job.provider_job_id for job in listed])
    free = [job for job in listed if job.provider_job_id not in held]
    prompt, asked = prompt_of(record.request.params), set(map(str, record.request.params.values()))
    free.sort(key=lambda job: (_unlike(job.prompt, {prompt}), _unlike(job.about, asked), _apart(job, submitted)))
    forgets = datetime.now(UTC) - submitted > timedelta(seconds=tools.ledger.timing.retention_seconds)
    return {"candidates": [_shown(job, submitted) for job in free], **({"caution": FORGOTTEN} if forgets else {})}


def _listed(tools: Toolbox, record: Record, submitted: datetime) -> list[Listed]:
    """The provider's jobs of about that time; of a list that is too long its first pages."""
    found: list[Listed] = []
    with suppress(IncompleteListError):
        found.extend(read_list(tools, record, submitted - EARLIER, submitted + LATER))
    return found


def _unlike(text: str, wanted: Container[str]) -> bool:
    """Whether the provider says something that the request does not."""
    return bool(text) and text not in wanted


def _apart(job: Listed, submitted: datetime) -> float:
    return abs((job.created_at - submitted).total_seconds()) if job.created_at else LATER.total_seconds()


def _shown(job: Listed, submitted: datetime) -> dict[str, Any]:
    created = job.created_at
    return {
        "provider_job_id": job.provider_job_id,
        "status": job.status,
        "created_at": created.isoformat() if created else None,
        "seconds_after_submit": round((created - submitted).total_seconds(), 1) if created else None,
        "about": job.about,
        "prompt": job.prompt,
        "credits": job.credits,
    }


def settle(tools: Toolbox) -> Iterator[dict[str, Any]]:
    """Look once for each unconfirmed job of the accounts with `SETTLE=listing`, and attach what surely is its purchase.

    By the rule that settles a doubt when it arises. Jobs that are older than the memory of others are left alone.
    """
    for name in tools.ledger.accounts.names():
        context = tools.accounts.find(name)
        if context is not None and context.settles_by_list:
            for record in tools.ledger.unconfirmed.records(name):
                match = _matched(tools, context, record)
                yield {
                    "job_id": record.job_id,
                    "account": str(name),
                    "provider_job_id": match.provider_job_id or None,
                    "reason": match.reason,
                }


def _matched(tools: Toolbox, context: AccountContext, record: Record) -> Match:
    """What the list says of an unconfirmed job, which goes on where that is sure."""
    if record.text("op") not in context.adapter.listed_operations:
        return Match("", f"{record.account.provider} has no list of such jobs")
    age_seconds = tools.ledger.executor.now() - record.number("intended")
    if age_seconds > tools.ledger.timing.retention_seconds:
        return Match("", FORGOTTEN)
    if age_seconds < sending_seconds_of(tools) + context.adapter.lists_after_seconds:
        return Match("", "it may not show on the provider's list yet: look again in some minutes")
    try:
        match = match_listed(tools, record)
        if match.provider_job_id:
            attached, _ = tools.ledger.unconfirmed.attach_listed(record, match.provider_job_id, evidence=match.reason)
            if not attached:
                return Match("", "it was settled just now")
            bought_with = BoughtWith(record.text("base_url"), record.text("adapter"))
            attempt = int(record.number("submits"))
            tools.receipts.accepted(record, attempt, match.provider_job_id, bought_with, outputs="", partial="")
            return match
    except BideError as error:
        return Match("", str(error))
    return match


@click.command(cls=PrintableErrors)
@click.option("--json", "as_json", is_flag=True)
@click.option("--settle", "settles", is_flag=True)
def main(as_json: bool, settles: bool) -> None:
    """List what is unconfirmed, with candidates; or settle what they settle."""
    try:
        with command_toolbox(settings()) as tools:
            if settles:
                show_settled(list(settle(tools)), as_json=as_json)
                return
            show(list(with_candidates(tools)), as_json=as_json)
    except (BideError, ConfigurationProblems) as error:
        raise ProblemsError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main(prog_name="bide unconfirmed list --candidates"))
