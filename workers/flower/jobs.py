"""Jobs as Flower's pages show them, read from the ledger: one pipeline for a list, a whole story for a job's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from redis.backoff import NoBackoff
from redis.retry import Retry

from bide import redis_client
from bide.cli.explain import explained
from bide.cli.replays import replayed
from bide.contract import JOB_ID, JobState
from bide.ledger import AccountName, Ledger, Record
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.moves import read_moves
from bide.ledger.processes import RunningProcess, running
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import money
from bide.providers.base import Progress
from config.flower_tasks import MAY_BE_PAID
from config.logging import without_secrets

#: How long a page waits for one answer of Redis [seconds]. It is shown without the ledger's part after two of them.
ANSWER_SECONDS = 1.5

#: Records that one list may ask for: a job's account is not known there, so that each account counts.
MOST_READS = 2000

#: The fields of a record that a row's words are made of.
_FIELDS = ("state", "progress", "note", "leader", "tried")


class JobStory(NamedTuple):
    """One job: what `bide explain --json` prints of it, where it is in words, and the addresses of its objects."""

    facts: dict[str, Any]
    words: str
    objects: tuple[str, ...]


class Jobs:
    """Reads jobs; each method blocks, and raises `LedgerAwayError` where Redis does not answer soon."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._accounts: list[AccountName] = []

    def story(self, job_id: str) -> JobStory | None:
        """A job, or the one whose result it waits for; None where the ledger has no record of it."""
        record = self._record(job_id)
        if record and record.following:
            record = self._ledger.jobs.read(record.account, record.following)
        if record is None:
            return None
        again_as = replayed(self._ledger, [record.job_id]).get(record.job_id)
        facts = explained(take_snapshot(self._ledger, record), self.processes(), replayed_as=again_as)
        return JobStory(without_secrets(facts), without_secrets(words(record.fields)), record.stored)

    def words(self, described: Mapping[str, str]) -> dict[str, str]:
        """Where jobs are, in words, by their ids; those without a record are left out.

        `described`: the description of each job by its id. It begins with the name of the provider.
        """
        names = self._accounts or self._ledger.accounts.names()
        places = [(job_id, name) for job_id, what in described.items() for name in _possible(names, what)][:MOST_READS]
        found: dict[str, str] = {}
        while places:
            places = self._read(places, found)
        return found

    def _read(self, places: list[tuple[str, AccountName]], found: dict[str, str]) -> list[tuple[str, AccountName]]:
        """Read jobs at these accounts, and add their words to `found`; where those are that went on at a fallback."""
        pipeline = self._ledger.executor.pipeline()
        pipeline.smembers(ACCOUNTS_KEY)  # for the next list: this one need not wait for it
        for job_id, name in places:
            pipeline.hmget(f"{prefix(name)}job:{job_id}", _FIELDS)
            pipeline.hget(f"{prefix(name)}left:{job_id}", "moved_to")
        accounts, *values = self._ledger.executor.execute(pipeline)
        self._accounts = sorted(map(AccountName.parse, accounts))
        elsewhere = []
        for (job_id, _), fields, moved_to in zip(places, values[::2], values[1::2], strict=True):
            if fields[0]:
                found[job_id] = without_secrets(words(dict(zip(_FIELDS, fields, strict=True))))
            elif moved_to and job_id not in found:
                elsewhere.append((job_id, AccountName.parse(moved_to)))
        return elsewhere

    def question(self, job_id: str) -> str:
        """What to ask before a job is revoked; '' for a job that is not paid for, and for what is no job."""
        record = self._record(job_id)
        if record is None or record.following or record.state.final:
            return ""
        known = money(record)
        if known.startswith("not bought"):
            return ""
        paid = "is paid for" if known.startswith("bought") else "may be paid for"
        return (
            f"Job {record.job_id} {paid} ({known}).\n\n"
            "Revoke cancels it: its result is not fetched, and the provider may charge for it all the same.\n\n"
            "Revoke it?"
        )

    def processes(self) -> list[RunningProcess]:
        """The workers and pollers that run."""
        found: list[RunningProcess] = self._ledger.executor.reach(running)
        return found

    def _record(self, job_id: str) -> Record | None:
        return self._ledger.jobs.find(job_id) if JOB_ID.fullmatch(job_id) else None


def open_jobs(url: str, *, sentinel_master: str) -> Jobs:
    """The reader of a ledger; it connects at the first read."""
    server = redis_client.connect(
        url,
        sentinel_master=sentinel_master,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),  # a connection that Redis has closed meanwhile is no reason to show less
    )
    return Jobs(Ledger(server))


def words(fields: Mapping[str, str | None]) -> str:
    """Where a job is, for a row of a list, and which accounts it has left for its fallbacks."""
    left = ", ".join(map(str, read_moves(fields.get("tried") or "")))
    return f"{_where(fields)}; left before: {left}" if left else _where(fields)


def _where(fields: Mapping[str, str | None]) -> str:
    state, note = fields["state"], fields.get("note")
    match state:
        case "following":
            return f"waits for the result of job {fields.get('leader')}, which has the same idempotency key"
        case JobState.QUEUED:
            return f"waits in line{f'; last answer: {note}' if note else ''}"
        case JobState.SUBMITTING:
            return "is being submitted"
        case JobState.RUNNING:
            progress = Progress.from_text(fields.get("progress") or "")
            return ": ".join(filter(None, ["waits at the provider", str(progress or note or "")]))
        case JobState.STORING:
            return "its result is being stored"
        case JobState.UNCONFIRMED:
            return f"{MAY_BE_PAID}; it waits for an operator"
    return f"has ended: {state}"


def _possible(names: list[AccountName], described: str) -> list[AccountName]:
    """The accounts that a job may belong to: those of the provider that its description begins with."""
    provider = described.partition(" ")[0]
    return [name for name in names if name.provider == provider] or names
