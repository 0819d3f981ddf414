"""What polling rounds claim of the ledger and give back to it, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bide.ledger.records import BoughtWith, Round
from bide.providers.base import Canceled, Ticket

#: How much is kept of the provider's answer to each of the last polls [characters].
WORD_CHARACTERS = 32

#: How often a provider is asked to stop a job, where no answer says what it made of that.
MOST_CANCELS = 20

#: Of a job that an earlier release of bide has bought.
NOT_RECORDED = BoughtWith()


@dataclass(frozen=True)
class Claimed:
    """One due job, claimed for a polling round."""

    job_id: str
    late_seconds: float
    operation: str
    provider_job_id: str
    cursor: str
    seen: bool
    polls: int
    deadline: float
    #: For how long its provider has not known it, as far as polls have shown [seconds].
    unknown_for: float
    empties: int
    #: When the provider accepted it, and last reported it as running [seconds since the epoch], 0 where unknown.
    submitted: float = 0.0
    ran: float = 0.0
    #: The provider's estimate of the whole [seconds], 0 where it gave none.
    estimate_seconds: float = 0.0
    bought_with: BoughtWith = NOT_RECORDED
    #: Why its provider is to stop it, and what the provider made of that; '' for most.
    cancel: str = ""
    #: The provider's last report of its progress, as the record has it.
    progress: str = field(default="", repr=False)
    #: How often its result was there and could not be fetched.
    fetching: int = 0
    #: The lane of its request, '' where it has none or the account has too many.
    lane: str = ""

    @property
    def to_stop(self) -> str:
        """Why the provider is to stop it: `canceled` or `deadline`, '' where it is not."""
        return self.cancel.partition(" ")[0]

    @property
    def cancels(self) -> int:
        """How often the provider was asked to stop it, as far as no answer says what it made of that."""
        word, _, count = self.cancel.partition(" ")[2].partition(" ")
        return int(count or 1) if word == Canceled.UNKNOWN else 0

    @property
    def cancel_is_open(self) -> bool:
        """Whether the cancel is to be sent, or sent again."""
        return self.cancel == self.to_stop != "" or 0 < self.cancels < MOST_CANCELS

    def with_cancel(self, why: str, canceled: Canceled) -> str:
        """The field `cancel` of its record, once the provider was asked to stop it: the reason and its answer.

        An answer that says nothing has the number of times behind it, but for the first.
        """
        asked = f" {self.cancels + 1}" if canceled is Canceled.UNKNOWN and self.cancels else ""
        return f"{why} {canceled}{asked}"

    @property
    def ticket(self) -> Ticket:
        """What its adapter needs to ask about it."""
        return self.bought_with.ticket(self.operation, self.provider_job_id, cursor=self.cursor, seen=self.seen)


@dataclass(frozen=True)
class Claim:
    """A polling round's work. `current` is False for a superseded round: it has none."""

    current: bool
    jobs: tuple[Claimed, ...] = ()
    round: Round | None = None
    now: float = 0.0


@dataclass(frozen=True)
class Polled:
    """What one poll came to.

    `kind`: running and trouble come up again after `seconds`, and waiting does past the deadline, too; ended goes on to
    be stored (`value`: its addresses); failed and canceled end the job (`value`: the error).
    """

    job_id: str
    kind: Literal["running", "trouble", "waiting", "ended", "failed", "canceled"]
    seconds: float = 0.0
    #: A field of the record to write along (`cursor`, `empties`), '' for none.
    key: str = ""
    value: str = field(default="", repr=False)
    note: str = ""
    seen: bool = False
    unknown_for: float = 0.0
    late_seconds: float = 0.0
    #: Further fields of the record to write along, for a job that goes on or is stored.
    also: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What the provider says that the job costs, as the record has it; '' for no word of it.
    cost: str = ""

    @property
    def counted_as(self) -> str:
        """The kind for metrics and logs."""
        return "trouble" if self.kind == "waiting" else self.kind

    @property
    def written(self) -> tuple[str, str]:
        """Key and value as the script takes them: `*` and JSON where there are several fields."""
        key = "outputs" if self.kind == "ended" and self.value else self.key
        if not self.also:
            return key, self.value
        fields = {**self.also, **({key: self.value} if key else {})}
        return "*", json.dumps([each for pair in fields.items() for each in pair])

    @property
    def word(self) -> str:
        """The provider's answer, short enough to be kept of each poll."""
        return " ".join(self.note.replace(";", ",").split())[:WORD_CHARACTERS] or self.kind
