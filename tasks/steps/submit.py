"""The step that buys: it settles an open doubt, checks the request, fetches its inputs, and makes the purchase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bide.contract import FailureCode
from bide.crashpoints import reached
from bide.errors import (
    BideError,
    ConfigurationError,
    ForeignAddressError,
    InvalidRequestError,
    StorageError,
    TryLaterError,
)
from bide.ledger import Record
from bide.money.budgets import Budget, check_quote
from bide.money.quote import Quote
from bide.providers.base import Submission, Upload
from bide.providers.fallbacks import check_in_turn
from tasks.steps.fail import fail, too_late
from tasks.steps.home import metadata_of
from tasks.steps.outcome import Outcome
from tasks.steps.purchase import Purchase
from tasks.steps.put_off import put_off, wait_in_line
from tasks.steps.settle import promise_of, settle
from workers.accounts import AccountContext
from workers.io.callback_check import check_callback
from workers.io.destination import confined
from workers.io.digest import digest_of, repeatable
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox


def submit(tools: Toolbox, record: Record, token: str, *, now: float) -> Outcome:
    """Submit one job under the lease `token`; raises `LeaseLostError`."""
    reached("capacity_taken")
    note(attempt=int(record.number("submits")) + 1, waited_seconds=round(now - record.number("created"), 3))
    if now >= record.number("deadline"):
        return too_late(tools, record, token)
    if why := _bad_fallback(tools, record):
        return fail(tools, record, token, FailureCode.INVALID_REQUEST, why, final=True)
    with tools.leases.renewing(record, token) as lease:
        absent = settle(tools, record, token, now=now) if record.settling else ""
        if not isinstance(absent, str):
            return absent
        if refusal := tools.store_check.wait() or tools.ledger.identity.wait():
            return wait_in_line(tools, record, token, refusal)
        try:
            purchase = _prepare(tools, record, token, now=now, absent=absent)
        except (InvalidRequestError, ConfigurationError, ForeignAddressError, TryLaterError, StorageError) as error:
            return _unprepared(tools, record, token, error)
        lease.check()
        return purchase.make()


def _bad_fallback(tools: Toolbox, record: Record) -> str:
    """Why a fallback can't make the job, '' where each can: a client that opens a job does not know the accounts.

    Of a job that was submitted, or went on, nothing is asked any more: it goes on as it was begun.
    """
    if record.next_account is None or record.fell_back or record.number("submits"):
        return ""
    try:
        check_in_turn(record.asked, tools.accounts.usable)
    except InvalidRequestError as error:
        return str(error)
    return ""


def _prepare(tools: Toolbox, record: Record, token: str, *, now: float, absent: str) -> Purchase:
    """All that a submit takes, its inputs fetched.

    Raises `InvalidRequestError`, `ForeignAddressError`, `TryLaterError`, `StorageError`.
    """
    request = record.request
    account = tools.accounts.get(record.account)
    credentials = account.credentials_at(record.text("base_url") if record.in_doubt else "")
    check_callback(request, tools.settings.callbacks)
    operation = account.check(request)
    promise, lane = promise_of(tools, account, operation, record, now=now), account.lane(request)
    quote, budgets = _price(tools, record, account, lane) if not promise.free else (account.quote(request), ())
    if absent or not record.in_doubt:  # else it is bought already, or not
        check_quote(quote, budgets)
    inputs: Mapping[str, Upload] = {}
    if request.inputs:
        about = metadata_of(tools, record)
        inputs = tools.fetcher.inputs(
            request, operation, record, account, signed_at=promise.signed_moment, metadata=about
        )
    submission = Submission(record.job_id, request.operation, request.params, inputs, promise.key)
    call = confined(account.adapter.submit_call(submission, credentials), account.adapter, credentials)
    return Purchase(
        tools,
        record,
        token,
        adapter=account.adapter,
        credentials=credentials,
        submission=submission,
        call=repeatable(call, promise.key),
        promise=replace(promise, digest=digest_of(call, credentials)) if promise.key else promise,
        absent=absent,
        lane=lane,
        quote=quote,
        budgets=budgets,
        # asks the ledger: not after the answer
        poll_timing=tools.poll_timings.get(record.account, request.operation, lane),
    )


def _price(tools: Toolbox, record: Record, account: AccountContext, lane: str) -> tuple[Quote, tuple[Budget, ...]]:
    """What a purchase costs, and the budgets that it must fit into: those of the file, and that of its run."""
    quote, budgets = account.quote(record.request), tools.budgets.over(record, lane)
    run = tools.runs.budget(record.text("run")) if record.text("run") else None
    return (run.quote(record.request, quote), (*budgets, run.budget)) if run else (quote, budgets)


def _unprepared(tools: Toolbox, record: Record, token: str, error: BideError) -> Outcome:
    """A submit that can't be made now, or never: nothing was sent."""
    if isinstance(error, TryLaterError) or (isinstance(error, StorageError) and not error.permanent):
        return put_off(tools, record, token, str(error))
    if record.settling and isinstance(error, InvalidRequestError | ConfigurationError):
        return put_off(tools, record, token, str(error))  # its adapter, file or setting may come back
    codes = {ForeignAddressError: FailureCode.PROTOCOL, StorageError: FailureCode.STORAGE}
    return fail(tools, record, token, codes.get(type(error), FailureCode.INVALID_REQUEST), str(error))
