"""Opens jobs: the records of many are written together, then their messages are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bide.client.post import Post, signature_of
from bide.contract import GenerateRequest
from bide.errors import IdempotencyConflictError, LedgerAwayError
from bide.ledger import AccountName, Ledger, Opening, Step, Verb
from bide.providers.base import Provider

#: The most records that go to the ledger in one round trip.
AT_ONCE = 200


@dataclass(frozen=True)
class Wanted:
    """A job that is to be opened: its id, and its request as `requests.checked` gives it."""

    job_id: str
    request: GenerateRequest
    adapter: Provider

    def opening(self) -> Opening:
        """What the ledger gets."""
        seconds = self.adapter.deadline_for(self.request.operation)
        account = AccountName.of(self.request)
        return Opening(self.job_id, account, self.request, seconds, signature_of(self.request))


def open_jobs(ledger: Ledger, post: Post, wanted: Sequence[Wanted]) -> list[str]:
    """Open jobs; returns the ids by which they are known, in order.

    An error has a note with the ids of the jobs that were enqueued all the same, and of those of which it is not known.
    """
    known: list[str] = []
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        try:
            replies = ledger.jobs.open_many([one.opening() for one in part])
        except LedgerAwayError as error:
            unclear = [one.job_id for one in part]
            error.add_note(f"{_so_far(known, wanted)}; it is not known of requests[{start}] and after: {unclear}")
            raise
        ends = [_known_as(one, reply) for one, reply in zip(part, replies, strict=True)]
        post.submit_many([(one.job_id, one.request) for one, end in zip(part, ends, strict=True) if end == one.job_id])
        known += [end for end in ends if isinstance(end, str)]
        for place, end in enumerate(ends, start):
            if isinstance(end, Exception):
                end.add_note(f"requests[{place}] was not enqueued; {_so_far(known, wanted)}")
                raise end
    return known


def _known_as(one: Wanted, reply: Step | Exception) -> str | Exception:
    """The id by which a job is known, or why it was not opened."""
    if isinstance(reply, Exception):
        return reply
    if reply.verb is Verb.FOLLOW:
        return reply.other
    if reply.verb is Verb.CONFLICT:
        used = "job id" if reply.other == one.job_id else "idempotency key"
        return IdempotencyConflictError(
            f"the {used} was used with another request, job {reply.other}; take a new one, or send the same request"
        )
    return one.job_id


def _so_far(known: Sequence[str], wanted: Sequence[Wanted]) -> str:
    return f"{len(known)} of {len(wanted)} jobs were: {known}"
