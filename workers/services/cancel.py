"""Cancelling a job: by the task `bide.cancel`, by a revocation from Flower, and with its run."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bide.contract import JOB_ID
from bide.errors import InvalidRequestError
from bide.ledger import AccountName, Ledger, Verb
from bide.providers import find
from bide.providers.base import Cancels
from workers.services.dispatcher import Dispatcher

log = structlog.get_logger()


class Canceler:
    """Ends jobs in the ledger; may be used from any thread."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher) -> None:
        self._ledger, self._dispatcher = ledger, dispatcher

    def cancel(self, job_id: object, *, known_only: bool = False) -> bool:
        """Cancel a job; False where the ledger knows no such job.

        A provider that can stop it is asked to by the next poll, which records how the job ended. The first message of
        an unknown job may still wait: the job is canceled when it comes, unless `known_only`.
        """
        if not isinstance(job_id, str) or not JOB_ID.fullmatch(job_id):
            log.warning("cancel.no_job_id", reason="a job id is letters, digits and _.:- only, 128 at most")
            return False
        record = self._ledger.jobs.find(job_id)
        if record is None and not known_only:
            self._ledger.jobs.cancel_unknown(job_id)
            record = self._ledger.jobs.find(job_id)  # opened in between, it has not seen the marker
        if record is None:
            log.warning("cancel.unknown_job", job_id=job_id)
            return False
        return self._cancel_at(record.account, job_id)

    def _cancel_at(self, account: AccountName, job_id: str) -> bool:
        """Cancel a job of an account, and follow it where it has gone on at its fallback meanwhile."""
        state = self._cancel(account, job_id, at_provider=_can_cancel(account.provider))
        if state != Verb.VERSION:
            self._dispatcher.send(self._ledger.accounts.admit(account))
        moved = None if state else self._ledger.jobs.find(job_id)
        if moved and moved.account != account:
            return self._cancel_at(moved.account, job_id)
        return state != Verb.VERSION

    def stop(self, account: AccountName, job_ids: Sequence[str]) -> None:
        """Cancel jobs of an account whose provider can stop jobs; those of any other provider go on."""
        if not _can_cancel(account.provider):
            return
        for job_id in job_ids:
            self._cancel(account, job_id, at_provider=True)
        self._dispatcher.send(self._ledger.accounts.admit(account))

    def _cancel(self, account: AccountName, job_id: str, *, at_provider: bool) -> str:
        """Cancel a job. Its state before; `Verb.VERSION` where another version of bide wrote its record."""
        state, messages = self._ledger.jobs.cancel(account, job_id, at_provider=at_provider)
        if state == Verb.VERSION:
            log.error("cancel.other_version", job_id=job_id, reason="another version of bide wrote its record")
            return state
        self._dispatcher.send(messages)
        log.info("job.canceled", job_id=job_id, account=str(account), was=state)
        return state


def _can_cancel(provider: str) -> bool:
    """Whether a provider has a call that stops a job; False where its adapter is not installed here."""
    try:
        return isinstance(find(provider), Cancels)
    except InvalidRequestError:
        return False
