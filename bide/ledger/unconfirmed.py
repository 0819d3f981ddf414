"""The scripts by which an operator settles an unconfirmed submit, or a worker by its provider's list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

import redis

from bide.contract import FailureCode, JobState
from bide.errors import InvalidRequestError
from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.failures import error_of
from bide.ledger.jobs import JobScripts
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.records import AccountName, Messages, Record
from bide.ledger.replies import hint_of, round_of
from bide.ledger.script import Key
from bide.ledger.settling import in_one_line
from bide.ledger.words import UNKNOWN_ID, ids_in, with_blanks
from bide.printable import printable
from bide.providers.base import Canceled

#: Records or ids that are read together.
PAGE = 1000

#: The message of a job that an old backup has in line, and that may have been bought since.
DOUBTED = "an operator says that it may have been bought since the ledger's backup; it is not bought by itself"

#: The message of a job that was given up.
GIVEN_UP = "given up by an operator; the provider may have accepted and charged it"

#: The message of a job whose submit may have been accepted, and to which an operator attached an id that is none of it.
NOT_SETTLED = "its submit may have been accepted"

#: What is to be known of a submit that was made again, and whose first request the provider does not know.
KEY_NEW = (
    "it was sent again under the same key, and the key was new to the provider: "
    "the first request had not arrived, or the provider has bought it twice"
)

#: What the script of `resubmit` says where a worker has the job in hand.
IN_HAND = 2

#: The most of an operator's name that a record keeps [characters].
LONGEST_NAME = 64


class UnconfirmedScripts:
    """Settles unconfirmed jobs by hand; each method does nothing to a job that is not, or no longer, unconfirmed.

    `by` is the operator's name, '' where it is not known: the record keeps it.
    """

    def __init__(self, executor: Executor, jobs: JobScripts) -> None:
        self._executor, self._jobs = executor, jobs

    def resubmit(self, account: AccountName, job_id: str, *, by: str = "") -> tuple[bool, Messages]:
        """An operator has an unconfirmed job submitted again. False: it is not unconfirmed.

        Under the same key, where its provider promised that a key buys once and still knows it. Raises
        `InvalidRequestError` for a job that was canceled during its submit, or that a worker is settling now.
        """
        script = scripts.job.Resubmit(id=job_id, by=_named(by))
        done, round_ = self._executor.run(account, script)
        if int(done) < 0:
            raise InvalidRequestError(
                f"job {job_id} was canceled, so it is not bought again: attach its id there, or give it up"
            )
        if int(done) == IN_HAND:
            raise InvalidRequestError(f"a worker is settling job {job_id} at this moment: look again in a minute")
        return bool(done), Messages(round=round_of(account, round_))

    def attach(self, account: AccountName, job_id: str, provider_job_id: str, *, by: str = "") -> tuple[bool, Messages]:
        """An operator names the provider's id of an unconfirmed job: it goes on. False: it is not unconfirmed.

        Where the provider turns out not to know that id, the job is unconfirmed again. Raises `InvalidRequestError`
        for an id that another job has, and names that job. The script decides by its index of ids; only records that
        are older than the index are read before.
        """
        older = self._holders_by_records(account.provider).get(provider_job_id, job_id)
        if older != job_id:
            raise _held(provider_job_id, older)
        script = scripts.job.Attach(
            accounts=Key(ACCOUNTS_KEY),
            id=job_id,
            provider_job_id=provider_job_id,
            by=_named(by),
            error=error_of(account, FailureCode.SUBMISSION_UNKNOWN, NOT_SETTLED, job_id=job_id),
        )
        return self._attached(account, script)

    def attach_listed(
        self, record: Record, provider_job_id: str, *, evidence: str, token: str = ""
    ) -> tuple[bool, Messages]:
        """A worker has found the purchase of a job on its provider's list: as `attach`, with evidence and no operator.

        `token`: of the lease of a job that is settling; '' for an unconfirmed one. False: it is neither any more.
        """
        script = scripts.job.Attach(
            accounts=Key(ACCOUNTS_KEY),
            id=record.job_id,
            provider_job_id=provider_job_id,
            by="",
            error=error_of(record.account, FailureCode.SUBMISSION_UNKNOWN, NOT_SETTLED, job_id=record.job_id),
            evidence=in_one_line(evidence),
            token=token,
        )
        return self._attached(record.account, script)

    def _attached(self, account: AccountName, script: scripts.job.Attach) -> tuple[bool, Messages]:
        done, round_, holder = self._executor.run(account, script)
        if holder:
            raise _held(script.provider_job_id, holder)
        return bool(done), Messages(round=round_of(account, round_))

    def give_up(self, account: AccountName, job_id: str, *, by: str = "") -> tuple[bool, Messages]:
        """An operator looks no further: an unconfirmed job has failed. False: it is not unconfirmed."""
        script = scripts.job.GiveUp(
            id=job_id,
            error=error_of(account, FailureCode.SUBMISSION_UNKNOWN, GIVEN_UP, job_id=job_id),
            by=_named(by),
        )
        done, hints = self._executor.run(account, script)
        return bool(done), Messages(tuple(hint_of(account, hint) for hint in hints))

    def doubt(self, account: AccountName, job_id: str, *, by: str = "") -> tuple[bool, Messages]:
        """An operator says that a job in line may have been bought, as on an old backup. False: it is not in line."""
        error = error_of(account, FailureCode.SUBMISSION_UNKNOWN, DOUBTED, job_id=job_id)
        state, *rest = self._executor.run(account, scripts.job.Doubt(id=job_id, error=error, by=_named(by)))
        return state == JobState.QUEUED, Messages((hint_of(account, rest),)) if rest else Messages()

    # What is to be settled

    def records(self, account: AccountName) -> list[Record]:
        """All jobs of an account that may have been accepted, the longest unconfirmed first."""
        job_ids = self._executor.reach(lambda server: server.zrange(f"{prefix(account)}unconfirmed", 0, -1))
        records = (self._jobs.read(account, job_id) for job_id in job_ids)
        return [record for record in records if record]

    def settling(self, account: AccountName) -> list[Record]:
        """All jobs of an account about whose submits bide finds out by itself, the next one first."""
        job_ids = self._executor.reach(lambda server: server.zrange(f"{prefix(account)}lease", 0, -1))
        pipeline = self._executor.pipeline()
        for job_id in job_ids:
            pipeline.hget(f"{prefix(account)}job:{job_id}", "doubted")
        found = self._executor.execute(pipeline) if job_ids else []
        doubtful = (job_id for job_id, doubted in zip(job_ids, found, strict=True) if doubted)
        records = (self._jobs.read(account, job_id) for job_id in doubtful)
        return [record for record in records if record and record.settling]

    def doubtful(self, account: AccountName) -> list[Record]:
        """All jobs that an operator may settle: the unconfirmed ones, then those that bide is settling."""
        return [*self.records(account), *self.settling(account)]

    def holders(self, account: AccountName, provider_job_ids: Sequence[str]) -> dict[str, str]:
        """As `indexed`, and by all records that there are.

        Reads every record, since those written before there was an index of ids count as well: for people, not for
        machinery.
        """
        found = self._holders_by_records(account.provider) | self.indexed(account, provider_job_ids)
        return {each: found[each] for each in provider_job_ids if each in found}

    def indexed(self, account: AccountName, provider_job_ids: Sequence[str]) -> dict[str, str]:
        """Which job has which of these ids, in any account of the provider, for as long as a job is remembered.

        Also of a bulk row whose record went with its run.
        """
        found: dict[str, str] = {}
        for first in range(0, len(provider_job_ids), PAGE):
            some = provider_job_ids[first : first + PAGE]
            held = self._executor.run(account, scripts.account.Holders(accounts=Key(ACCOUNTS_KEY), ids=some))
            found |= {each: job_id for each, job_id in zip(some, held, strict=True) if job_id}
        return found

    def open_purchases(
        self, provider: str, begins: float, ends: float, *, nameless: frozenset[str] = frozenset()
    ) -> Iterator[Record]:
        """Jobs that may have been bought within a time, and whose purchases are not known; of all accounts.

        Also those of the operations `nameless` that are at the provider: it knows their purchases by other ids.

        Submits in doubt or under way, and earlier ones that nobody looks for any more. Times are in seconds since the
        epoch. A submit that goes from one list to the next meanwhile is found in one of the two.
        """
        for account in (name for name in self._executor.accounts() if name.provider == provider):
            for job_id in self._maybe_bought(account, begins, ends, nameless):
                if record := self._jobs.read(account, job_id):
                    yield record

    def _maybe_bought(
        self, account: AccountName, begins: float, ends: float, nameless: frozenset[str]
    ) -> Iterator[str]:
        """The ids of those of one account: whose last submit was begun in time, or whose first may have been."""
        job_ids: dict[str, str] = {}
        for place in ("lease", *(("due",) if nameless else ()), "unconfirmed", "abandoned"):
            found = self._executor.reach(partial(_members, key=f"{prefix(account)}{place}"))
            job_ids |= dict.fromkeys(found, place)
        pipeline = self._executor.pipeline()
        for job_id in job_ids:
            pipeline.hmget(f"{prefix(account)}job:{job_id}", "state", "intended", "submits", "created", "op")
        read = self._executor.execute(pipeline) if job_ids else []
        for (job_id, place), (state, intended, submits, created, operation) in zip(job_ids.items(), read, strict=True):
            is_open = place in ("unconfirmed", "abandoned") or state == "submitting" or operation in nameless
            first = created if submits and int(submits) > 1 else intended
            if is_open and intended and float(first) <= ends and float(intended) >= begins:
                yield job_id

    def _holders_by_records(self, provider: str) -> dict[str, str]:
        """The job that has each id, over all records of a provider that there still are."""
        pattern, found = f"bide:{{{_literal(provider)}/*}}:job:*", dict[str, str]()
        keys = self._executor.reach(lambda server: list(server.scan_iter(pattern, count=PAGE)))
        for first in range(0, len(keys), PAGE):
            pipeline = self._executor.pipeline()
            for key in (some := keys[first : first + PAGE]):
                pipeline.hmget(key, "pid", "other_pid")
            for key, (own, others) in zip(some, self._executor.execute(pipeline), strict=True):
                found |= dict.fromkeys(filter(None, (own, *ids_in(others or ""))), key.partition("}:job:")[2])
        return found


def _members(server: redis.Redis, *, key: str) -> list[str]:
    """All of a sorted set, the lowest score first."""
    found: list[str] = server.zrange(key, 0, -1)  # type: ignore[assignment]  # redis-py types sync and async as one
    return found


def _held(provider_job_id: str, job_id: str) -> InvalidRequestError:
    return InvalidRequestError(f"{provider_job_id} is the provider's id of job {job_id} already: nothing was changed")


def remarks(record: Record) -> list[str]:
    """What people need to know of purchases that are unconfirmed, attached or further ones."""
    again = int(record.number("again")) + int(record.number("resubmitted"))
    others = record.other_ids
    remarks = {
        f"submitted {again + 1} times: each may have been bought": again > 0,
        "the provider's id was attached by an operator": record.text("attached") and not record.text("listed"),
        "the provider's id was found on its list of recent jobs": record.text("listed"),
        KEY_NEW: record.text("key_new"),
        f"other purchases of it have the ids {' and '.join(others)}": len(others) > 1,
        f"another purchase of it has the id {''.join(others)}": len(others) == 1,
        stopping(record): True,
        went_on(record): record.fell_back,
        bought_after_leaving(record): record.text("elsewhere"),
    }
    return [text for text, true in remarks.items() if text and true]


def purchase_warnings(record: Record) -> list[str]:
    """What the result of a job says of purchases besides its own."""
    ids = " and ".join([record.text("pid"), *record.other_ids])
    more = [f"bought more than once: the provider has it as {ids}, and may charge for each"] if record.other_ids else []
    after = [bought_after_leaving(record)] if record.text("elsewhere") else []
    return [*more, *after, *([KEY_NEW] if record.text("key_new") else [])]


def went_on(record: Record) -> str:
    """Where a job with fallbacks is, and which accounts it has left."""
    at, of = int(record.number("fallback")), int(record.number("fallbacks"))
    return f"at {record.account}, fallback {at} of {of}; left before: {', '.join(map(str, record.moves))}"


def bought_after_leaving(record: Record) -> str:
    """The purchases of a job by accounts that it had left, against what their providers had said before."""
    elsewhere = with_blanks(record.text("elsewhere"))
    if f" as {UNKNOWN_ID}" in elsewhere:
        return f"maybe bought more than once, by {elsewhere}: look at the provider for what it began at that moment"
    return f"bought more than once: accepted after it had gone on at its fallback, by {elsewhere}"


def _named(by: str) -> str:
    """A name that breaks no line of the record, nor fills it."""
    return printable(by)[:LONGEST_NAME]


#: What becomes of a cancel that the provider has not answered, by the job's state.
_TO_BE_ASKED = {
    "submitting": "canceled: the provider is asked to stop it once it has answered the submit",
    "unconfirmed": "canceled: the provider is asked to stop it once its id there is known",
    "running": "the provider is asked to stop it with the next poll",
    "storing": "canceled when its result was made already: that is paid for, and stored",
    "succeeded": "canceled when its result was made already: that is paid for, and stored",
}


def stopping(record: Record) -> str:
    """What the provider was asked to do about a canceled or overdue job, and what it made of that; '' for most."""
    if not record.text("cancel"):
        return ""
    why, _, answer = record.text("cancel").partition(" ")
    if not answer or (answer == Canceled.TOO_LATE and record.text("state") in ("storing", "succeeded")):
        return _TO_BE_ASKED.get(record.text("state"), "")
    overdue = ", since its deadline had passed" if why == "deadline" else ""
    return f"the provider was asked to stop it{overdue}: {answer}"


def _literal(text: str) -> str:
    """`text` in a pattern of Redis, where some characters mean more than themselves."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
