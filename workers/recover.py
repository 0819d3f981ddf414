"""Makes the records of a lost ledger again, from receipts, results and providers' lists. `python -m workers.recover`.

Nothing is bought by it, and a second run finds everything there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import click
import redis
from pydantic import ValidationError

from bide.bulk.objects import keys, metadata
from bide.cli.output import PrintableErrors, ProblemsError
from bide.cli.recover import Recovered, Since, show
from bide.contract import JobResult
from bide.deployments import owners
from bide.errors import BideError, InvalidRequestError, StorageError
from bide.ledger.identity import deployment_of, read_state
from bide.ledger.recovery import Lost, TakenUp
from bide.money.book import purchases_in
from bide.purchases import lost_job, lost_result, result_key
from bide.receipt_checks import why_no_result, why_unfit
from bide.receipt_places import check_left, deployment_at, known_at, other_places, place_of
from bide.receipted import Receipted, by_job
from bide.receipts import Intent, Receipt, Unreadable, days, read
from bide.settings.problems import ConfigurationProblems
from bide.statements import Statements
from config.settings import settings
from workers.finished import Finished, Whose
from workers.toolbox import Toolbox, command_toolbox
from workers.unconfirmed import settle

#: The largest `job.json` that is read [bytes], and how many are read at once.
MAX_RESULT_BYTES, READERS = 16 * 1024 * 1024, 16

#: Why a job is named whose purchase is known by its acceptance alone.
NO_INTENT = (
    "it was accepted{as_}, and the receipt of its intent is not there: look further back (--since), or `bide adopt`"
)

#: What the command ends with where it could not read all.
UNREAD = "{left} of the receipts, results and jobs above can't be read, and may have been bought: look at each"


class Recoverer:
    """One recovery. `dry`: nothing is written, and the outcome is what would be.

    `place`: the folder of the receipts, where it is not that of the ledger's address. Statements and the ids of the
    ledger are those of that place, too.
    """

    def __init__(self, tools: Toolbox, *, since: datetime, place: str = "", dry: bool = False) -> None:
        self._tools, self._since, self._dry = tools, since, dry
        self._place, self._moved = place or tools.receipt_folder(), place not in ("", tools.receipt_folder())
        #: Receipts and objects that could not be read, and why.
        self.unreadable: list[Unreadable] = []

    def run(self, *, prefixes: Sequence[str] = (), results: bool = True) -> Iterator[Recovered]:
        """Every job that is known from elsewhere, and what became of it; raises `LedgerAwayError`, `StorageError`.

        Raises `InvalidRequestError` where the place is that of a deployment that lives.
        """
        self._check_place()
        found = by_job(self._receipts())
        jobs = {job_id: each for job_id, each in found.items() if each.intents}
        yield from self._without_intent(found)
        statements = self._statements()
        if not self._dry:
            self._take_up_place()
            self._take_up_books(statements, jobs)
        reaches = self._tools.ledger.recovery.statements_reach()
        with ThreadPoolExecutor(READERS) as readers:
            stored = readers.map(lambda each: self._result(result_key(each.story.newest)), jobs.values())
            for receipted, result in zip(jobs.values(), stored, strict=True):
                yield self._of_receipts(receipted, result, reaches)
            if results:
                folders = {*prefixes, "", *map(_prefix_of, jobs.values())}
                finished = readers.map(self._finished, self._result_keys(folders, set(jobs)))
                yield from self._of_results([each for each in finished if each and each.result.job_id not in jobs])
        if not self._dry:
            statements.rebuild_budgets()
            for listed in settle(self._tools):
                what = "taken" if listed["provider_job_id"] else "unsettled"
                state = "running" if listed["provider_job_id"] else "unconfirmed"
                yield Recovered(listed["job_id"], listed["account"], "list", what, state, listed["reason"])

    def _receipts(self) -> Iterator[Receipt]:
        for each in read(self._tools.storage, self._place, since=self._since):
            if isinstance(each, Unreadable):
                self.unreadable.append(each)
            elif why := why_unfit(each):
                self.unreadable.append(Unreadable(self._place, why, each.job_id, each.account))
            else:
                yield each

    def other_places(self) -> list[str]:
        """Where receipts of other addresses lie, in words; none where there are some at this one."""
        return list(other_places(self._tools.storage, self._place))

    def _ids(self) -> tuple[str, ...]:
        """The ids of the ledger that is to be made again, as the bucket knows them."""
        there = known_at(self._tools.storage, self._place).ids() if self._moved else ()
        return (*self._tools.known_ledger().ids(), *there)

    def _check_place(self) -> None:
        if self._moved:
            ours, now = read_state(self._tools.ledger.server).id, self._tools.ledger.executor.now()
            check_left(self._tools.storage, self._place, ours=ours, now=now)

    def _take_up_place(self) -> None:
        """The ids of a ledger that has moved are its own at the new address, too: its jobs' objects name them."""
        known = self._tools.known_ledger()
        if self._moved and set(self._ids()) - set(known.ids()):
            known.write(known.read(), earlier=self._ids())

    def _without_intent(self, found: Mapping[str, Receipted]) -> Iterator[Recovered]:
        """Jobs that may have been bought, and of which no record can be made."""
        named = {each.job_id: each for each in self.unreadable if each.job_id}
        for job_id, each in found.items():
            if each.acceptances and not each.intents:
                last = max(each.acceptances, key=lambda accepted: accepted.at)
                why = NO_INTENT.format(as_=f" as {last.provider_job_id}" if last.provider_job_id else "")
                yield Recovered(job_id, last.account, "receipt", "unreadable", "", why)
                named.pop(job_id, None)
        for job_id, unreadable in named.items():
            if job_id not in found or not found[job_id].intents:
                yield Recovered(job_id, unreadable.account, "receipt", "unreadable", "", unreadable.why)

    def _statements(self) -> Statements:
        """The statements of the ledger that is to be made again."""
        settings, ledger, storage = self._tools.settings, self._tools.ledger, self._tools.storage
        if self._moved:
            foreign = read_state(ledger.server).id not in known_at(storage, self._place).ids()
            return Statements(ledger, storage, deployment=deployment_at(self._place), foreign=foreign)
        own = deployment_of(settings.ledger_url, sentinel_master=settings.sentinel_master)
        return Statements(ledger, storage, deployment=own)

    def _take_up_books(self, statements: Statements, jobs: dict[str, Receipted]) -> None:
        """The books of those days as statements have them come first: what they hold is not booked again.

        Budgets come last, when it is known which of their purchases receipts have.
        """
        statements.read_latest(datetime.fromtimestamp(self._tools.ledger.executor.now(), UTC).date())
        for day in sorted({day for found in jobs.values() for intent in found.intents for day in _days_of(intent)}):
            statements.rebuild(day, of_any=True)

    def _of_receipts(
        self, found: Receipted, stored: JobResult | Unreadable | None, reaches: dict[tuple[str, str], str]
    ) -> Recovered:
        newest, unread = found.story.newest, isinstance(stored, Unreadable)
        result = stored if isinstance(stored, JobResult) and not found.is_of_another(stored) else None
        if result is None and not found.story.bought and found.ended is None:
            why = "its last submit was not accepted, and the job was in line again: its caller submits it again"
            return Recovered(newest.job_id, newest.account, "receipt", "not_bought", "", why)
        source = "result" if result else "receipt"
        return self._made(
            newest.job_id, newest.account, source, lambda: lost_job(found, result, reaches=reaches, unread=unread)
        )

    def _of_results(self, finished: Sequence[Finished]) -> Iterator[Recovered]:
        """Finished jobs without a receipt, but for those of other deployments that share the bucket."""
        ids = (*self._ids(), read_state(self._tools.ledger.server).id)
        whose = Whose(owners(self._tools.storage, ids), self._tools.settings, finished)
        for each in finished:
            if why := whose.foreign(each):
                yield Recovered(each.result.job_id, str(each.account or ""), "result", "foreign", "", why)
            else:
                yield self._of_result(each)

    def _of_result(self, finished: Finished) -> Recovered:
        result, account = finished.result, finished.likely_account(self._tools.settings)
        return self._made(result.job_id, str(account), "result", lambda: lost_result(result, finished.about, account))

    def _made(self, job_id: str, account: str, source: str, make: Callable[[], Lost]) -> Recovered:
        """Take a job up that is made of what the bucket holds, whatever that is."""
        try:
            lost = make()
            taken = self._tools.ledger.recovery.take_up(lost, dry=self._dry)
        except (ValueError, LookupError, ArithmeticError, InvalidRequestError, redis.ResponseError) as error:
            why = f"nothing can be made of what the bucket has of it: {type(error).__name__}"
            return Recovered(job_id, account, source, "unreadable", "", why)
        state = taken.other if taken.what in ("taken", "known", "twice") else ""
        return Recovered(lost.job_id, str(lost.account), source, taken.what, state, _why(taken))

    def _result(self, key: str) -> JobResult | Unreadable | None:
        """The result at a key, or why it can't be read; None where there is none."""
        storage, job_id = self._tools.storage, key.split("/")[-2]
        try:
            if not storage.exists(key):
                return None
            result = JobResult.model_validate_json(storage.get(storage.uri(key), max_bytes=MAX_RESULT_BYTES))
            why = why_no_result(result, job_id)
        except ValidationError:
            why = "it is no result"
        except StorageError as error:
            if not error.permanent:
                raise
            why = str(error)
        if not why:
            return result
        unreadable = Unreadable(storage.uri(key), why)
        self.unreadable.append(unreadable)
        return unreadable

    def _finished(self, key: str) -> Finished | None:
        """The result at a key, with what its object says of it; None where there is none, or it can't be read."""
        found = self._result(key)
        return Finished(found, metadata(self._tools.storage, key)) if isinstance(found, JobResult) else None

    def _result_keys(self, folders: set[str], known: set[str]) -> Iterator[str]:
        """The keys of the `job.json`s of these days, but for those of known jobs."""
        for folder in sorted(folders):
            for day in days(self._since, datetime.now(UTC)):
                dated = f"{folder}/{day:%Y/%m/%d}/" if folder else f"{day:%Y/%m/%d}/"
                for key in keys(self._tools.storage, dated):
                    if key.endswith("/job.json") and key.split("/")[-2] not in known:
                        yield key


def _why(taken: TakenUp) -> str:
    match taken.what:
        case "twice":
            return f"bought more than once, by {taken.named}: each may be charged for"
        case "elsewhere":
            return f"it comes to {taken.other} again and again: stop its callers, and run this again"
        case "conflict":
            return "the ledger has another request under its id"
        case "held":
            return f"its provider's id is that of job {taken.other}"
        case "run":
            return f"the run {taken.other} has its end"
    return ""


def _prefix_of(found: Receipted) -> str:
    """The `output_prefix` of a job's request, '' for none."""
    folder = result_key(found.story.newest).rsplit("/", 5)
    return folder[0] if len(folder) == 6 else ""


def _days_of(intent: Intent) -> Iterator[date]:
    """The days (UTC) in whose books a job's purchases stand: also those of earlier submits."""
    booked = [purchase.begun for purchase in purchases_in(intent.record.get("booked", ""))]
    for moment in (float(intent.record["intended"]), *booked):
        yield datetime.fromtimestamp(moment, UTC).date()


@click.command(cls=PrintableErrors)
@click.option("--json", "as_json", is_flag=True)
@click.option("--dry-run", "dry", is_flag=True)
@click.option("--since", type=Since())
@click.option("--prefix", "prefixes", multiple=True)
@click.option("--receipts-only", is_flag=True)
@click.option("--from", "place", default="")
def main(
    as_json: bool, dry: bool, since: datetime | None, prefixes: tuple[str, ...], receipts_only: bool, place: str
) -> None:
    """Make the records of a lost ledger again."""
    try:
        with command_toolbox(settings()) as tools:
            kept = timedelta(seconds=tools.ledger.timing.retention_seconds)
            begins = since or datetime.now(UTC) - kept
            where = place_of(tools.storage, place) if place else ""
            recoverer = Recoverer(tools, since=begins, place=where, dry=dry)
            others = recoverer.other_places()
            found = list(recoverer.run(prefixes=prefixes, results=not receipts_only))
            unreadable = [f"{each} ({each.why})" for each in recoverer.unreadable]
            show(found, unreadable, others, since=begins, dry=dry, as_json=as_json)
            if left := len(unreadable) + sum(each.what == "unreadable" for each in found):
                raise ProblemsError(UNREAD.format(left=left))
    except (BideError, ConfigurationProblems) as error:
        raise ProblemsError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main(prog_name="bide recover"))
