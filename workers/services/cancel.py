"""Cancelling a job: by the task `bide.cancel`, and by a revocation from Flower."""

from __future__ import annotations

import structlog

from bide.contract import JOB_ID
from bide.ledger import Verb
from workers.toolbox import toolbox

log = structlog.get_logger()


def cancel_job(job_id: object, *, known_only: bool = False) -> bool:
    """Cancel a job; False where the ledger knows no such job. None of the providers can take a purchase back.

    An unknown job may be one whose first message still waits: it will be canceled when that comes, unless `known_only`.
    """
    if not isinstance(job_id, str) or not JOB_ID.fullmatch(job_id):
        log.warning("cancel.no_job_id", reason="a job id is letters, digits and _.:- only, 128 at most")
        return False
    tools = toolbox()
    record = tools.ledger.find(job_id)
    if record is None and not known_only:
        tools.ledger.cancel_unknown(job_id)
        record = tools.ledger.find(job_id)  # opened in between, it has not seen the marker
    if record is None:
        log.warning("cancel.unknown_job", job_id=job_id)
        return False
    state, messages = tools.ledger.cancel(record.account, job_id)
    if state == Verb.VERSION:
        log.error("cancel.other_version", job_id=job_id, reason="another version of bide wrote its record")
        return False
    tools.dispatcher.send(messages)
    tools.dispatcher.send(tools.ledger.admit(record.account))
    log.info("job.canceled", job_id=job_id, account=str(record.account), was=state)
    return True
