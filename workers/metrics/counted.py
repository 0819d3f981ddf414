"""What worker processes count: each metric with its bounded set of fields in an account's hash in the ledger."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bide.contract import FINAL_STATES, FailureCode
from bide.ledger.poll_now import PollNowOutcome
from bide.ledger.settling import LISTING
from bide.providers.idempotency import Contract

#: Stands for a value that no list has, so that no text of a request makes a new time series.
OTHER = "other"

#: Sums are kept in thousandths, as whole numbers.
THOUSANDTHS = 1000


@dataclass(frozen=True)
class Counter:
    """Counts by one label, whose values are `values` and `OTHER`; without a label only the sum."""

    name: str
    text: str
    label: str = ""
    values: tuple[str, ...] = ()

    def field(self, value: str = "") -> str:
        """Where it is counted."""
        return f"{self.name}:{value if value in self.values or not self.label else OTHER}"

    def counts(self, fields: Mapping[str, str]) -> dict[str, int]:
        """Label values and their counts in an account's hash, zeros too, so that a rate sees the first one."""
        values = (*self.values, OTHER) if self.label else ("",)
        return {value: int(fields.get(self.field(value)) or 0) for value in values}


@dataclass(frozen=True)
class Histogram:
    """Counts of values up to each bound, and their sum."""

    name: str
    text: str
    bounds: tuple[float, ...]

    def fields(self, values: Iterable[float]) -> dict[str, int]:
        """What to add to which field for some values."""
        added: Counts[str] = Counts()
        for value in values:
            added[f"{self.name}:{bisect_left(self.bounds, value)}"] += 1
            added[f"{self.name}:sum"] += round(value * THOUSANDTHS)
        return added

    def buckets(self, fields: Mapping[str, str]) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound in an account's hash, as Prometheus has them, and the sum."""
        total, found = 0, list[tuple[str, float]]()
        for at, bound in enumerate((*map(str, self.bounds), "+Inf")):
            total += int(fields.get(f"{self.name}:{at}") or 0)
            found.append((bound, float(total)))
        return found, int(fields.get(f"{self.name}:sum") or 0) / THOUSANDTHS


#: What the sweeper says of a repair, by its beginning, and how that is counted.
_REPAIRS = {
    "told again": "told_again",
    "round scheduled": "round_scheduled",
    "worker died while submitting: unconfirmed": "unconfirmed",
    "worker died": "worker_died",
    "crashed": "crashed",
    "deadline": "deadline",
    "caller could not be told": "caller_not_told",
    "left alone": "version",
}

#: Failures after which no other account is tried, as in `include/fallback.lua`.
_ENDS_WITHOUT_FALLBACK = frozenset(
    (
        *(FailureCode.CANCELED, FailureCode.DEADLINE, FailureCode.SUBMISSION_UNKNOWN),
        *(FailureCode.CRASHED, FailureCode.STORAGE),
    )
)

SUBMITS = Counter(
    "submits",
    "Submits that were sent to a provider, by what came of them.",
    "outcome",
    ("submitted", "finished_at_once", "not_accepted", "refused", "unconfirmed", "settling"),
)
POLLS = Counter(
    "polls",
    "Polls of single jobs, by what came of them.",
    "outcome",
    ("running", "trouble", "ended", "failed", "canceled"),
)
STORES = Counter(
    "stores", "Attempts to bring a result home, by what came of them.", "outcome", ("stored", "put_off", "failed")
)
STORED_BYTES = Counter("stored_bytes", "Bytes of results uploaded to object storage.")
STORED_OBJECTS = Counter("stored_objects", "Results uploaded to object storage.")
FAILED_JOBS = Counter(
    "failed_jobs",
    "Jobs that failed in a step, at a poll or in line, by code; canceled and unconfirmed ones are not among them.",
    "code",
    tuple(code.value for code in FailureCode),
)
REPAIRS = Counter(
    "repairs",
    "What the sweeper mended.",
    "what",
    tuple(dict.fromkeys(_REPAIRS.values())),
)
HOOKS = Counter(
    "hooks",
    "Calls of providers about jobs, by what came of them; refused: not at an address that we gave out.",
    "outcome",
    (*(outcome.value for outcome in PollNowOutcome), "refused"),
)
#: Counted by the ledger, in the script that ends a job (`conclude` in `include/ending.lua`).
ENDED_JOBS = Counter(
    "ended_jobs",
    "Jobs that ended, by how; an unconfirmed one counts when it is settled by hand, a follower of another's job never.",
    "state",
    tuple(sorted(state.value for state in FINAL_STATES)),
)
#: Counted by the ledger, in the script that has a job go on (`include/fallback.lua`).
FALLBACKS = Counter(
    "fallbacks",
    "Jobs that left this account and went on at their fallback, by why; not_submitted: it took no submit in time.",
    "code",
    ("not_submitted", *(code.value for code in FailureCode if code not in _ENDS_WITHOUT_FALLBACK)),
)
#: Counted by the ledger, in a hash of its own (`include/unconfirmed.lua`).
SETTLED_DOUBTS = Counter(
    "settled_doubts",
    "Doubts about submits that are over, by how: a contract, the list, a late answer, or what an operator did.",
    "how",
    (
        *(contract.value for contract in Contract),
        *("free", LISTING, "late_answer", "not_accepted", "attached", "resubmitted", "given_up"),
    ),
)
COUNTERS = (
    *(SUBMITS, POLLS, STORES, STORED_BYTES, STORED_OBJECTS, FAILED_JOBS, REPAIRS, HOOKS, ENDED_JOBS, FALLBACKS),
    SETTLED_DOUBTS,
)

POLL_LATENESS = Histogram(
    "poll_lateness_seconds",
    "How long after its time a job was polled.",
    (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0),
)
POLLS_PER_JOB = Histogram(
    "polls_per_job",
    "Polls that it took until a job was found to have ended.",
    (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0),
)
JOB_SECONDS = Histogram(
    "job_seconds",
    "From a job's creation until its result was stored.",
    (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 21600.0),
)
HISTOGRAMS = (POLL_LATENESS, POLLS_PER_JOB, JOB_SECONDS)


def repaired(what: str) -> str:
    """The label value for what the sweeper says it mended."""
    return next((value for beginning, value in _REPAIRS.items() if what.startswith(beginning)), OTHER)
