"""One poll of one job: its calls, and the adapter's reading of their answers."""

from __future__ import annotations

from dataclasses import replace

import structlog

from bide.errors import AccountRefusedError, BideError, ForeignAddressError, PollFailedError, ResultNotFetchedError
from bide.ledger import Claimed
from bide.providers.base import Account, Canceled, Cancels, FetchNow, JobOutcome, Provider, Running, Ticket
from tasks.steps.decision import CancelAsked, Heard, PollAnswer
from workers.io.destination import confined
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: How many further requests a poll may lead to at once.
MOST_HOPS = 3


async def ask(
    tools: Toolbox, adapter: Provider, account: Account | None, now: float, job: Claimed
) -> tuple[Claimed, PollAnswer]:
    """One poll, `now` by the ledger's time. Never raises: a poll that fails is not a job that fails.

    A canceled or overdue job is canceled at the provider, too, where that can stop it.
    """
    if account is None:
        return job, PollFailedError("this process has no usable settings for the account")
    account = account.at(job.bought_with.base_url)
    if not account.base_url:
        return job, PollFailedError("neither its record nor the settings of the account say where to ask")
    if not (isinstance(adapter, Cancels) or job.cancel):
        return job, await _poll(tools, adapter, account, job)
    return job, await _poll_or_cancel(tools, adapter, account, now, job)


async def _poll_or_cancel(tools: Toolbox, adapter: Provider, account: Account, now: float, job: Claimed) -> PollAnswer:
    """The cancel of a caller goes first, that of an overdue job after a poll which found it at work."""
    canceled, heard = None, None
    if job.cancel_is_open:
        canceled = await cancel_there(tools, adapter, account, job.ticket)
        if canceled in (None, Canceled.STOPPED):
            return CancelAsked(canceled)
    heard = await _poll(tools, adapter, account, job)
    at_work = isinstance(heard, Running | PollFailedError) and not isinstance(heard, ResultNotFetchedError)
    if at_work and now >= job.deadline and not job.cancel:
        canceled = await cancel_there(tools, adapter, account, job.ticket)
        if canceled is Canceled.STOPPED:
            return CancelAsked(canceled)
    return heard if canceled is None else CancelAsked(canceled, heard)


async def cancel_there(tools: Toolbox, adapter: Provider, account: Account, ticket: Ticket) -> Canceled | None:
    """What the provider made of a cancel; None where it can't stop this job."""
    if not isinstance(adapter, Cancels):
        return None
    try:
        call = adapter.cancel_call(ticket, account)
        if call is None:
            return None
        answer = await tools.http.call(confined(call, adapter, account), buys=False)
        return adapter.cancel_outcome(answer, ticket, account)
    except Exception as error:
        log.warning("cancel.not_answered", provider_job_id=ticket.provider_job_id, reason=_reason(error))
        return Canceled.UNKNOWN


async def _poll(tools: Toolbox, adapter: Provider, account: Account, job: Claimed) -> Heard:
    try:
        return await _heard(tools, adapter, account, job.ticket)
    except (PollFailedError, AccountRefusedError, ForeignAddressError) as error:
        return error
    except Exception as error:
        log.exception("poll.broke", job_id=job.job_id)
        return PollFailedError(_reason(error))


async def _heard(tools: Toolbox, adapter: Provider, account: Account, ticket: Ticket) -> JobOutcome:
    """The outcome of a poll, and of the requests that it leads to.

    Raises `ResultNotFetchedError` where one of these fails, `ForeignAddressError`, `AccountRefusedError`.
    """
    for hop in range(MOST_HOPS + 1):
        call = confined(adapter.poll_call(ticket, account), adapter, account)
        try:
            outcome = adapter.poll_outcome(await tools.http.call(call, buys=False), ticket, account)
        except PollFailedError as error:
            if not hop:
                raise
            raise ResultNotFetchedError(f"its result: {error}", after_seconds=error.after_seconds) from error
        if not isinstance(outcome, FetchNow):
            return outcome
        ticket = replace(ticket, cursor=outcome.cursor, seen=True)
    raise ResultNotFetchedError(f"its result leads on and on: {MOST_HOPS} requests were followed")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BideError) else type(error).__name__
