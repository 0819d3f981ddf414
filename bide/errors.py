"""All errors of bide, split by what the caller does next.

BideError
├── InvalidRequestError     the request can't be served as written: mend it, nothing was bought
├── PriceUnknownError       what a request will cost is not known: the message says why
├── OverBudgetError         a budget has no room for a purchase: nothing was bought
├── IdempotencyConflictError  the key (or job id) belongs to another request: nothing was bought
├── UnknownJobError         bide has neither a record nor a result of the job: check the id, or wait again
├── ConfigurationError      the set-up is wrong: an operator mends it
│   └── ClusterError        the Redis is a cluster: bide needs a single server
├── TryLaterError           nothing happened or nothing changed: come back later
│   ├── LedgerAwayError     Redis does not answer, or refuses writes; nothing is known to have changed
│   │   └── NotReplicatedError  Redis has written it, and too few replicas have: a failover may lose it
│   ├── NoReceiptError      the object store has not taken the receipt of an intent: nothing is sent
│   ├── NotSentError        the request never left: nothing was bought
│   ├── PollFailedError     the provider gave no usable answer about a job; the job goes on
│   │   └── ResultNotFetchedError  the result is made, and the request that has it failed; it is made again
│   ├── DownloadError       a result could not be fetched this time
│   └── NotDeliveredError   a callback did not reach its receiver this time
├── SubmissionUnknownError  the provider may have accepted (and charged): never repeat by itself
├── AccountRefusedError     the provider refuses the key or the account: stop asking, raise an alarm
├── ForeignAddressError     an answer leads the account's key to a foreign host: nothing was sent, the job can't go on
├── UnreadableAnswerError   an adapter can't make sense of an answer; its caller decides what that means
├── BadMediaError           a result is not a whole picture or video, or lies where nothing may be fetched from
├── StorageError            object storage did not take or give the object
├── LeaseLostError          another worker has the lease on this step: stop, change nothing
└── JobFailed               a job's end, as its caller sees it; the message is JSON (`contract.Failure`)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class BideError(Exception):
    """Root of the tree."""


class InvalidRequestError(BideError):
    """The request can't be served as written; the message names field, reason and remedy."""

    def __init__(self, message: str, *, redacted: str | None = None) -> None:
        super().__init__(message)
        self._redacted = redacted

    @property
    def redacted(self) -> str:
        """The message without names and values that only the request holds, for a place where others read it."""
        return str(self) if self._redacted is None else self._redacted


class PriceUnknownError(BideError):
    """What a request will cost is not known, or can't be worked out: that is not 0. The message says what to do."""


class OverBudgetError(BideError):
    """A budget has no room for a purchase. The job `waits` for it in the ledger, or is its worker's to end."""

    def __init__(self, budget: str, *, waits: bool) -> None:
        super().__init__(f"{budget} has no room for it")
        self.budget, self.waits = budget, waits


class IdempotencyConflictError(BideError):
    """This idempotency key or job id was used with another request."""


class UnknownJobError(BideError):
    """A client waited for a job of which bide has neither a record nor a result; the message says what that means."""


class ConfigurationError(BideError):
    """The environment or the installation is wrong; the message says what to set."""


class ClusterError(ConfigurationError):
    """The Redis at an address is a cluster, or has the address of one; the message says what to take instead."""


class TryLaterError(BideError):
    """Come back later; `after_seconds` is the other side's wish, if it gave one."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class LedgerAwayError(TryLaterError):
    """The ledger can't be reached, or refuses writes; the message says which."""


class NotReplicatedError(LedgerAwayError):
    """Too few replicas have acknowledged what was written.

    `replies` are those of the scripts that wrote it, `messages` what they ask to be sent (`bide.ledger.Messages`).
    """

    def __init__(self, message: str, *, replies: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.replies = replies
        self.messages: Any = None


class NoReceiptError(TryLaterError):
    """The object store has not taken the receipt of an intent in time: nothing may be sent."""


class NotSentError(TryLaterError):
    """The request never left: nothing was bought."""


class PollFailedError(TryLaterError):
    """The provider gave no usable answer about a job."""


class ResultNotFetchedError(PollFailedError):
    """The provider says that the result is there, and did not give it this time."""


class DownloadError(TryLaterError):
    """A result could not be fetched this time. `stale`: its address is refused, a fresh one may help."""

    def __init__(self, message: str, *, after_seconds: float | None = None, stale: bool = False) -> None:
        super().__init__(message, after_seconds=after_seconds)
        self.stale = stale


class NotDeliveredError(TryLaterError):
    """A callback did not reach its receiver this time."""


class SubmissionUnknownError(BideError):
    """The submit may have been accepted."""


class AccountRefusedError(BideError):
    """The provider refuses this account's key."""


class ForeignAddressError(BideError):
    """An answer leads the account's key to a host that is not its provider's; nothing was sent there."""


class UnreadableAnswerError(BideError):
    """An answer that is not what the provider documents."""


class BadMediaError(BideError):
    """Not a whole picture or video, or not to be fetched from there."""


class StorageError(BideError):
    """Object storage failed; `permanent` when trying again can't help (bucket missing, access denied)."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class LeaseLostError(BideError):
    """Another worker has the lease on this step."""


class JobFailed(BideError):  # noqa: N818 - the name is on the wire
    """A job ended badly; `str()` is the JSON of a `contract.Failure`."""
