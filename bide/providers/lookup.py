"""What a provider can say that can be asked for a job by the key of its submit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bide.errors import PollFailedError, UnreadableAnswerError
from bide.providers.exchange import Account, Answer, Call, handle_text
from bide.providers.masking import hiding
from bide.providers.outcomes import FetchNow
from bide.providers.refusal import poll_trouble


@dataclass(frozen=True)
class Lookup:
    """Which submit is looked up: its `Submission.key`, and its operation."""

    key: str
    operation: str
    #: `FetchNow.cursor` of the answer before, where a look-up takes several requests.
    cursor: str = ""


@dataclass(frozen=True)
class Found:
    """The provider has a job under the key."""

    provider_job_id: str
    #: As of `Submitted`.
    handle: Any = field(default=None, repr=False)
    #: The ids of further jobs under the key: the provider has bought it more than once.
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Absent:
    """The provider has no job under the key now."""

    #: False where the provider may have had one all the same, as where it forgets its jobs at a restart.
    proves: bool = True


def _check(found: Found) -> None:
    """Raise `UnreadableAnswerError` for a job that could not be polled."""
    if not found.provider_job_id:
        raise UnreadableAnswerError("a job without an id")
    handle_text(found.handle)


LookupOutcome = Found | Absent | FetchNow


class LooksUp(ABC):
    """Inherit it beside `Provider`: doubtful submits of operations with `REJECT` or `CLIENT_ID` are then looked up."""

    #: How long after a submit its job may not show in a look-up yet [seconds].
    shows_after_seconds: ClassVar[float]

    @abstractmethod
    def lookup_call(self, lookup: Lookup, account: Account) -> Call:
        """The request that asks for the job of a submit; it buys nothing, and may be sent any number of times."""

    @abstractmethod
    def read_lookup(self, answer: Answer, lookup: Lookup, account: Account) -> LookupOutcome:
        """What an answer of 2xx or 404 says. `FetchNow`: `lookup_call` is asked at once again, with that cursor.

        Raises `UnreadableAnswerError`, `PollFailedError` or `AccountRefusedError` where it does not say: the job is
        looked up again later, and nothing is bought meanwhile.
        """

    def lookup_outcome(self, answer: Answer, lookup: Lookup, account: Account) -> LookupOutcome:
        """Trouble by code first, then body; raises `PollFailedError` or `AccountRefusedError`."""
        with hiding(account):
            try:
                poll_trouble(answer, after_seconds=answer.retry_after_seconds)
                outcome = self.read_lookup(answer, lookup, account)
                if isinstance(outcome, Found):
                    _check(outcome)
            except UnreadableAnswerError as error:
                raise PollFailedError(f"the answer to the look-up can't be read: {error}") from error
        return outcome
