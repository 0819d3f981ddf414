"""How a job waits that can't be submitted now: for inputs, for the object store, for the ledger, or for its account."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic, sleep

import structlog

from bide.contract import FailureCode
from bide.errors import LedgerAwayError, NotReplicatedError, OverBudgetError
from bide.ledger import Messages, Record
from bide.ledger.settling import Doubt
from bide.polling.backoff import Backoff
from tasks.steps.fail import fail, redacted
from tasks.steps.outcome import Fail, Outcome, Suspend
from tasks.steps.settle import unsettled
from workers.metrics.counted import SUBMITS
from workers.metrics.tally import tally
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: When inputs that could not be fetched are tried again: always after 10 seconds.
INPUTS_BACKOFF = Backoff(first_seconds=10.0, factor=1.0, cap_seconds=10.0)

#: How long an account submits nothing after a job met what keeps all back; then one job tries [seconds].
HOLD_SECONDS = 3.0

#: How long an account submits nothing after replicas did not acknowledge an intent; then one job tries [seconds].
REPLICAS_HOLD_SECONDS = 3.0

#: How long the undoing of an intent is tried to be made safe [seconds]: a failover takes about as long.
TAKE_BACK_SECONDS = 10.0


#: What keeps a submit back whose ledger has changed under its worker.
OTHER_LEDGER_REASON = "the ledger (Redis) is not the one that this worker knows"


def wait_in_line(tools: Toolbox, record: Record, token: str, refusal: str) -> Suspend | Fail:
    """Nothing is bought that could not be stored, or on a ledger that forgot: the account's jobs wait in line."""
    note("warning", outcome="held_back", reason=refusal)
    reason = refusal[:300]
    if record.settling:
        return unsettled(tools, record, token, reason, Doubt(HOLD_SECONDS))
    return Suspend(tools.ledger.submits.hold_back(record, token, seconds=HOLD_SECONDS, reason=reason))


def take_back(tools: Toolbox, record: Record, token: str, reason: str, *, attempt: int = 0) -> Suspend:
    """The intent to buy is not safe, and nothing was sent: the job waits in line, and with it the account's others.

    `attempt`: its number, where a receipt of it may be on its way.

    The intent may be all that a failover leaves of the job. So for a while its undoing is made safe as well.
    """
    tally.count(record.account, SUBMITS, "not_accepted")
    note("warning", outcome="not_sent", reason=reason)
    tools.receipts.not_accepted(record, attempt)
    sent, until = Messages(), monotonic() + TAKE_BACK_SECONDS
    while True:
        try:
            messages = tools.ledger.submits.take_back(
                record, token, seconds=REPLICAS_HOLD_SECONDS, reason=f"not sent: {reason}"[:300]
            )
            return Suspend(sent + messages)
        except NotReplicatedError as error:
            sent += error.messages
            if monotonic() >= until:
                return Suspend(sent)
        sleep(0.2)


def over_budget(tools: Toolbox, record: Record, token: str, error: OverBudgetError) -> Outcome:
    """A budget has no room for the job: it fails, or waits out of line, as the budget says; the line goes on."""
    if not error.waits:
        message = f"{error}: nothing was bought; it can be sent again once that is raised, or its period has ended"
        return fail(tools, record, token, FailureCode.OVER_BUDGET, message, retryable=True)
    note("warning", outcome="over_budget", reason=str(error))
    return Suspend(tools.ledger.accounts.admit(record.account))


def put_off(tools: Toolbox, record: Record, token: str, reason: str) -> Suspend | Fail:
    """The inputs, or what settles a doubt, can't be had now: try again later."""
    note("warning", outcome="put_off", reason=redacted(record, reason))
    seconds = INPUTS_BACKOFF.delay(0)
    if record.settling:
        return unsettled(tools, record, token, reason, Doubt(seconds))
    return Suspend(tools.ledger.jobs.postpone(record, token, seconds=seconds, note=reason[:200]))


def pause_account(tools: Toolbox, record: Record, reason: str) -> None:
    """The account's other jobs would be refused as well: they wait until an operator has mended the account."""
    account = record.account
    with suppress(LedgerAwayError):  # whether the next job finds it out again is not worth this one's end
        if tools.ledger.accounts.pause(account, reason=reason, by="bide"):
            log.error(
                "account.paused",
                account=str(account),
                reason=redacted(record, reason),
                remedy=f"bide resume {' '.join(account)}",
            )
