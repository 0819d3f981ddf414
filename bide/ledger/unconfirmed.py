"""The scripts by which an operator settles an unconfirmed submit."""

from __future__ import annotations

import re

from bide.contract import FailureCode
from bide.ledger import scripts
from bide.ledger.executor import Executor, error_of
from bide.ledger.jobs import JobScripts
from bide.ledger.keys import prefix
from bide.ledger.records import AccountName, Messages, Record
from bide.ledger.replies import hint_of, round_of
from bide.printable import printable

#: The message of a job that was given up.
GIVEN_UP = "given up by an operator; the provider may have accepted and charged it"


#: The most of an operator's name that a record keeps [characters].
LONGEST_NAME = 64


class UnconfirmedScripts:
    """Settles unconfirmed jobs by hand; each method does nothing to a job that is not, or no longer, unconfirmed.

    `by` is the operator's name, '' where it is not known: the record keeps it.
    """

    def __init__(self, executor: Executor, jobs: JobScripts) -> None:
        self._executor, self._jobs = executor, jobs

    def resubmit(self, account: AccountName, job_id: str, *, by: str = "") -> tuple[bool, Messages]:
        """An operator has an unconfirmed job submitted again. False: it is not unconfirmed."""
        script = scripts.job.Resubmit(id=job_id, by=_named(by))
        done, round_ = self._executor.run(account, script)
        return bool(done), Messages(round=round_of(account, round_))

    def attach(self, account: AccountName, job_id: str, provider_job_id: str, *, by: str = "") -> tuple[bool, Messages]:
        """An operator names the provider's id of an unconfirmed job: it goes on. False: it is not unconfirmed.

        Where the provider turns out not to know that id, the job is unconfirmed again.
        """
        script = scripts.job.Attach(id=job_id, provider_job_id=provider_job_id, by=_named(by))
        done, round_ = self._executor.run(account, script)
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

    # What is to be settled

    def records(self, account: AccountName) -> list[Record]:
        """All jobs of an account that may have been accepted, the longest unconfirmed first."""
        job_ids = self._executor.reach(lambda server: server.zrange(f"{prefix(account)}unconfirmed", 0, -1))
        records = (self._jobs.read(account, job_id) for job_id in job_ids)
        return [record for record in records if record]

    def holders(self, account: AccountName) -> dict[str, str]:
        """Which job has which id at the provider, over all records of an account that there still are.

        Reads each of them: for people, not for machinery.
        """
        at, found = f"{prefix(account)}job:", dict[str, str]()
        keys = self._executor.reach(lambda server: list(server.scan_iter(f"{_literal(at)}*", count=1000)))
        for first in range(0, len(keys), 1000):
            pipeline = self._executor.pipeline()
            for key in (some := keys[first : first + 1000]):
                pipeline.hmget(key, "pid", "other_pid")
            for key, held in zip(some, self._executor.execute(pipeline), strict=True):
                found |= {pid: key.removeprefix(at) for ids in held if ids for pid in ids.split()}
        return found


def remarks(record: Record) -> list[str]:
    """What people need to know of purchases that are unconfirmed, attached or further ones."""
    again = int(record.number("again")) + int(record.number("resubmitted"))
    others = record.other_ids
    remarks = {
        f"submitted {again + 1} times: each may have been bought": again > 0,
        "the provider's id was attached by an operator": record.text("attached"),
        f"other purchases of it have the ids {' and '.join(others)}": len(others) > 1,
        f"another purchase of it has the id {''.join(others)}": len(others) == 1,
    }
    return [text for text, true in remarks.items() if true]


def _named(by: str) -> str:
    """A name that breaks no line of the record, nor fills it."""
    return printable(by)[:LONGEST_NAME]


def _literal(text: str) -> str:
    """`text` in a pattern of Redis, where some characters mean more than themselves."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
