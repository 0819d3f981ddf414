"""The admission of rows: the next rows of a run become live, and their jobs are opened.

Window, budget and limits of the run say how many.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bide.bulk.copies import CopiesOfRuns
from bide.bulk.names import job_id
from bide.bulk.rates import run_quotes
from bide.bulk.record import LiveRow, Run
from bide.bulk.runs import Runs
from bide.bulk.scripts import OpenedRow
from bide.contract import GenerateRequest
from bide.describe import describe
from bide.ledger import AccountName, Ledger, Messages
from bide.money.amounts import most_purchases
from bide.storage import Storage
from workers.bulk.inputs import PAGE_ROWS, Input, InputRow, parsed

#: Jobs that are opened in one script.
OPENED_ROWS = 100


@dataclass(frozen=True)
class Admission:
    """The outcome of admitting a page: the number of its rows, and what stopped it ('' = the page was over).

    `why` says more of a row that `price` stopped.
    """

    rows: int
    stopped: str
    why: str = ""


@dataclass(frozen=True)
class Claim:
    """A line of the input, with the row's entry ('' = it repeats an earlier one).

    `price` is what the run's budget must have room for before the row becomes live [millionths].
    """

    line: InputRow
    entry: str
    price: int


class Admitter:
    """Admits rows of runs.

    `deadline_seconds` gives the longest a job may take, `lane` the lane of a request; `send` sends the hints of jobs
    that were admitted.
    """

    def __init__(
        self,
        runs: Runs,
        ledger: Ledger,
        storage: Storage,
        copies: CopiesOfRuns,
        *,
        deadline_seconds: Callable[[AccountName, str], float],
        lane: Callable[[GenerateRequest], str],
        send: Callable[[Messages], None],
    ) -> None:
        self._runs, self._ledger, self._storage, self._copies = runs, ledger, storage, copies
        self._deadline_seconds, self._lane, self._send = deadline_seconds, lane, send

    def open_claimed(self, run: Run, live: Iterable[LiveRow]) -> int:
        """Open the rows that are live and have no job yet: their feeder died, or they were recalled."""
        rows = [each for each in live if each.kind == "c"][:PAGE_ROWS]
        if rows:
            self._open(run, rows, self._input(run).texts(rows))
        return len(rows)

    def admit(self, run: Run, token: str, *, live: int) -> Admission:
        """Make the next page of rows live, beside the `live` ones; where the run buys, open their jobs."""
        ends = run.state == "canceling" or self._has_its_jobs(run)
        if run.number("row") > run.number("rows") or not (ends or run.state == "running"):
            return Admission(0, "over")
        window = max(2 * PAGE_ROWS, run.options.window) if ends else run.options.window
        if live >= window:
            return Admission(0, "window")
        claims, why = self._claims(run, most=min(PAGE_ROWS, window - live), ends=ends)
        taken, stopped = self._runs.feed(
            run.run_id,
            token,
            row=run.number("row"),
            buys=not ends,
            window=window,
            rows=[(each.entry, each.price, each.line.next_offset) for each in claims],
        )
        fed = [each for each in claims[:taken] if each.entry]
        mine = {each.line.row: (LiveRow(each.line.row, each.entry), each.line.text) for each in fed}
        if not ends:
            rows = [live for live, _ in mine.values() if live.kind == "c"]
            self._open(run, rows, {row: text for row, (_, text) in mine.items()})
        return Admission(taken, stopped or ("price" if why else ""), why)

    def _has_its_jobs(self, run: Run) -> bool:
        most = run.options.max_jobs
        return run.state == "running" and most is not None and run.number("jobs") >= most

    def _claims(self, run: Run, *, most: int, ends: bool) -> tuple[list[Claim], str]:
        """The next lines, up to the first row that has no price under a budget; then also why it has none."""
        copies, quotes = self._copies.of(run).first_of, run_quotes(run.text("prices"), run.text("currencies"))
        never = "c" if run.state == "canceling" else "s"
        has_budget, claims = run.options.budget is not None, list[Claim]()
        for line in self._input(run).page(row=run.number("row"), offset=run.number("offset"), most=most):
            request = None if ends else parsed(line.text)
            quote = quotes.quote(request) if request and line.row not in copies else None
            if quote and quote.amount is None and has_budget:
                return claims, f"row {line.row} has no price, so the budget could not be kept: {quote.reason}"
            one = (quote.amount if quote else None) or 0
            price = one * most_purchases(request) if request else 0
            account = AccountName.of(request) if request else None
            kind = never if ends else "c" if request else "x"
            entry = LiveRow.entry_of(kind, line.offset, len(line.text), price, account)
            claims.append(Claim(line, "" if line.row in copies else entry, one if run.by_book else price))
        return claims, ""

    def _input(self, run: Run) -> Input:
        return Input(self._storage, run.run_id)

    def _open(self, run: Run, rows: list[LiveRow], texts: dict[int, bytes]) -> None:
        by_account: dict[AccountName, list[LiveRow]] = defaultdict(list)
        for live in rows:
            if live.account:
                by_account[live.account].append(live)
        for account, some in by_account.items():
            for at in range(0, len(some), OPENED_ROWS):
                together = some[at : at + OPENED_ROWS]
                opened = [self._opening(run, account, live, texts[live.row]) for live in together]
                self._runs.open(run.run_id, account, opened)
            self._send(self._ledger.accounts.admit(account))

    def _opening(self, run: Run, account: AccountName, live: LiveRow, text: bytes) -> OpenedRow:
        request = parsed(text)
        if request is None:  # changed since it was claimed: without an id it is not opened
            return OpenedRow(row=str(live.row), live=live.entry)
        signature = json.dumps({"ignore_result": True, "kwargsrepr": describe(request)}, separators=(",", ":"))
        return OpenedRow(
            row=str(live.row),
            live=live.entry,
            id=job_id(run.run_id, live.row),
            request=text.decode(),
            signature=signature,
            operation=request.operation,
            allowed_seconds=str(request.deadline_seconds or self._deadline_seconds(account, request.operation)),
            resubmit=request.on_unknown == "resubmit",
            fingerprint=request.fingerprint(),
            callback=request.callback_url is not None,
            lane=self._lane(request),
            fallbacks=len(request.fallbacks),
            tenant=request.tenant or "",
        )
