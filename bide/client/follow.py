"""Following a job: its states, its progress and its end, as events of one look after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bide.client.presence import Presence
from bide.contract import Failure, JobResult, JobState
from bide.ledger import AccountName, Record
from bide.ledger.keys import prefix
from bide.polling.backoff import Backoff
from bide.providers.progress import Progress
from bide.redis_errors import is_away

#: Time between two looks at a job: it grows while nothing changes, so that one of an idle job is two seconds.
LOOKS = Backoff(first_seconds=0.25, factor=2.0, cap_seconds=2.0)

#: What a look reads of a record.
FIELDS = ("state", "progress")

#: The states in which a follower stops: no more happens by itself.
ENDS = frozenset(state.value for state in JobState if state.final or state is JobState.UNCONFIRMED)


@dataclass(frozen=True)
class StateChanged:
    """The job is in another state; the first event says in which it is. A state that passes quickly may be left out."""

    job_id: str
    state: JobState


@dataclass(frozen=True)
class ProgressChanged:
    """The provider says something new of how far a running job is."""

    job_id: str
    progress: Progress


@dataclass(frozen=True)
class JobEnded:
    """The last event: the job has its result, or a failure. An unconfirmed one goes on once an operator settles it."""

    job_id: str
    state: JobState
    #: What `Client.wait` returns; None for a bad end.
    result: JobResult | None = None
    #: Why there is no result; None for a good end.
    failure: Failure | None = None


JobEvent = StateChanged | ProgressChanged | JobEnded


class Look(NamedTuple):
    """What one look saw of a job."""

    state: str
    progress: str = ""


class Place(NamedTuple):
    """Where a job's record lies; `leader` is the job whose result it waits for, '' for most."""

    account: AccountName
    job_id: str
    leader: str = ""

    @property
    def keys(self) -> list[str]:
        """The keys that a look reads, its own first."""
        return [f"{prefix(self.account)}job:{job_id}" for job_id in (self.job_id, self.leader) if job_id]


def place_of(record: Record) -> Place:
    """Where looks at a job find it."""
    return Place(record.account, record.job_id, record.following or "")


def look_of(values: Sequence[Sequence[str | None]]) -> Look | None:
    """A look out of the values of a place's keys; None where there is no record."""
    own, *leading = values
    state, progress = leading[0] if leading and own[0] == "following" else own
    return Look(state, progress or "") if state else None


class Followed:
    """What a follower has seen of its job."""

    def __init__(self, job_id: str, *, unknown_seconds: float) -> None:
        self.job_id = job_id
        #: None until the record is found.
        self.place: Place | None = None
        self.over = False
        self._presence = Presence(job_id, unknown_seconds)
        self._looks = 0
        self._seen = Look("")

    @property
    def pause_seconds(self) -> float:
        """The time until the next look."""
        return LOOKS.delay(self._looks - 1)

    def note(self, *, known: bool) -> None:
        """Note that a look has found the job, or could not; raises `UnknownJobError` as `Client.wait` does."""
        self._looks += 1
        self._presence.note(known=known)

    def away(self, error: Exception) -> list[JobEvent]:
        """Redis did not answer: that says nothing of the job. Raises what is no outage."""
        if not is_away(error):
            raise error
        self.note(known=True)
        return []

    def changes(self, look: Look) -> list[JobEvent]:
        """What is new since the last look at a job that goes on."""
        self.note(known=True)
        events: list[JobEvent] = []
        if look.state != self._seen.state:
            events.append(StateChanged(self.job_id, JobState(look.state)))
        progress = Progress.from_text(look.progress) if look.state == JobState.RUNNING else None
        if progress and look.progress != self._seen.progress:
            events.append(ProgressChanged(self.job_id, progress))
        if events:
            self._looks = 1
        self._seen = look
        return events

    def ended(self, end: JobEnded) -> list[JobEvent]:
        """The last event."""
        self.over = True
        return [end]
