"""Running jobs whose provider's adapter or file is gone: they are paid for, so they wait until it is back."""

from __future__ import annotations

import structlog

from bide.errors import InvalidRequestError
from bide.ledger import AccountName, Claimed, Polled
from bide.ledger.timeline import WITHOUT_ADAPTER
from bide.providers import find
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: How long such a job waits for the next look [seconds].
HOLD_SECONDS = 60.0


def keep_waiting(tools: Toolbox, name: AccountName, jobs: tuple[Claimed, ...]) -> tuple[Claimed, ...]:
    """Put off the jobs that this process can't ask about, past their deadline too; the others are returned."""
    operations = _operations(name.provider)
    reasons = {job.job_id: _reason(name.provider, job.operation, operations) for job in jobs}
    waiting = [Polled(job_id, "waiting", HOLD_SECONDS, note=reason) for job_id, reason in reasons.items() if reason]
    if waiting:
        log.error("account.unusable", account=str(name), jobs=len(waiting), reason=waiting[0].note)
        tools.dispatcher.send(tools.ledger.polls.record(name, waiting))
    return tuple(job for job in jobs if not reasons[job.job_id])


def _operations(provider: str) -> frozenset[str] | None:
    try:
        return frozenset(find(provider).operations)
    except InvalidRequestError:
        return None


def _reason(provider: str, operation: str, operations: frozenset[str] | None) -> str:
    if operations is None:
        return f"no adapter or file of provider {provider!r} is here: {WITHOUT_ADAPTER}"
    if operation not in operations:
        return f"provider {provider!r} has no operation {operation!r} here: {WITHOUT_ADAPTER}"
    return ""
