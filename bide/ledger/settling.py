"""Doubts about submits that bide settles by itself: what goes into the record, and what it says to people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bide.ledger.records import Record
from bide.printable import printable

#: The contract, in a record, of a submit that is looked for on its provider's list of recent jobs.
LISTING = "listing"

#: The most of a line of a record's `evidence` [characters].
LONGEST_EVIDENCE = 300


@dataclass(frozen=True)
class Promise:
    """What is known of a submit that is sent again: the provider's contract for it, or that it costs nothing."""

    #: A value of `bide.providers.idempotency.Contract`, `LISTING`, or '' for none.
    contract: str = ""
    free: bool = False
    #: `Submission.key`, and the digest of the request that goes with it.
    key: str = ""
    digest: str = ""
    #: For how long from the intent on the same request may be sent again under the key [seconds].
    live_seconds: float = 0.0
    #: For how long a request may be under way from its intent on [seconds].
    sending_seconds: float = 0.0
    #: As of when the addresses of our own objects in the request are signed [seconds since the epoch]; 0: as of now.
    signed_at: float = 0.0

    @property
    def signed_moment(self) -> datetime | None:
        """That moment in UTC; None for now."""
        return datetime.fromtimestamp(self.signed_at, UTC) if self.signed_at else None


@dataclass(frozen=True)
class Doubt:
    """What is known of a submit that may have been accepted."""

    #: After how long its promise is tried at the earliest [seconds]; None: nothing is sent under its key any more.
    settle_seconds: float | None = None
    #: The provider surely had the request.
    received: bool = False
    #: For the timeline.
    evidence: str = ""


@dataclass(frozen=True)
class Settled:
    """How a doubt about a submit was settled: the provider has the job."""

    #: For the timeline.
    evidence: str = ""
    #: Further ids that the provider has under the key.
    others: tuple[str, ...] = ()
    #: The provider says that the key was new: the first request had not arrived, or was forgotten.
    new: bool = False
    #: It says so of a key that it surely had before.
    breach: bool = False
    #: The failure of a job whose provider did not keep its promise; `{known}` in it becomes the ids that are known.
    breach_error: str = ""


def settles_until(record: Record) -> float:
    """Until when bide settles a doubt by itself [seconds since the epoch]."""
    deadline = record.number("deadline")
    return deadline if record.text("free") else min(deadline, record.number("submit_until"))


def settling_how(record: Record) -> str:
    """What bide does about the doubtful submit of a job, and until when; '' for a job that it is not settling."""
    if not record.settling:
        return ""
    looks_up = record.text("contract") in ("reject", "client_id")
    how = "sends the same request again under the same key"
    if looks_up:
        how = "looks it up by its key, and submits it again only where the provider surely does not have it"
    elif record.text("contract") == LISTING:
        how = "looks for it on the provider's list of recent jobs, and sends nothing again"
    elif record.text("free"):
        how = "submits it again, since it costs nothing"
    return (
        f"bide settles it: it {how}; until {datetime.fromtimestamp(settles_until(record), UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


def evidence(record: Record) -> list[tuple[float, str, str]]:
    """What was found out about doubtful submits: when [seconds since the epoch], the kind of event, and what."""
    found = [line.split(" ", 2) for line in record.text("evidence").splitlines()]
    return [(float(at), kind, what) for at, kind, what in found]


def in_one_line(text: str) -> str:
    """What goes into the record's `evidence`: a line of it, short."""
    return printable(text)[:LONGEST_EVIDENCE]
