"""Rows that `bide recover` took up as bought: the feeder compares each with the input, before the run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bide.bulk.copies import CopiesOfRuns
from bide.bulk.rates import run_quotes
from bide.bulk.record import LiveRow, Run
from bide.bulk.runs import Runs
from bide.bulk.scripts import BoughtRow
from bide.errors import StorageError
from bide.ledger import AccountName
from bide.money.amounts import most_purchases
from bide.storage import Storage
from workers.bulk.inputs import PAGE_ROWS, Input, InputRow, parsed


class BoughtRows:
    """The rows of runs that a lost ledger had bought.

    A row that the run has not come to yet becomes live at once. So its result is collected while its record is there,
    no budget is asked for it again, and a run that is canceled reports it as it is.
    """

    def __init__(self, runs: Runs, storage: Storage, copies: CopiesOfRuns) -> None:
        self._runs, self._storage, self._copies = runs, storage, copies

    def settle(self, run: Run, token: str) -> int:
        """Compare the next of these rows with their requests; returns the number of them.

        Raises `StorageError`; a run that is being canceled may have lost its input, and nothing is compared then.
        """
        noted = dict(sorted(self._runs.bought(run.run_id).items())[:PAGE_ROWS])
        if not noted:
            return 0
        try:
            compared = list(self._compared(run, noted))
        except StorageError as error:
            if not (error.permanent and run.state == "canceling"):
                raise
            compared = [BoughtRow(str(live.row), noted[live.row], live.entry) for live in self._live(run, noted)]
        self._runs.settle_bought(run.run_id, token, compared)
        return len(compared)

    def _compared(self, run: Run, noted: Mapping[int, str]) -> Iterator[BoughtRow]:
        copies, quotes = self._copies.of(run).first_of, run_quotes(run.text("prices"), run.text("currencies"))
        lines = {line.row: line for line in self._lines(run, noted)}
        for row, text in noted.items():
            account, fingerprint = text.split(" ")
            line = lines.get(row)  # None where a feeder of an earlier release has counted it
            request = parsed(line.text) if line and row not in copies else None
            if line is None or request is None or request.fingerprint() != fingerprint:
                yield BoughtRow(str(row), text, "")
                continue
            price = (quotes.quote(request).amount or 0) * most_purchases(request)
            entry = LiveRow.entry_of("o", line.offset, len(line.text), price, AccountName.parse(account))
            yield BoughtRow(str(row), text, entry, price)

    def _lines(self, run: Run, noted: Mapping[int, str]) -> Iterator[InputRow]:
        """The rows as they stand in the input: live ones by their places, the others from where the run stands."""
        source, live = Input(self._storage, run.run_id), self._live(run, noted)
        texts = source.texts(live)
        yield from (InputRow(each.row, each.place[0], texts[each.row]) for each in live)
        row, offset = run.number("row"), run.number("offset")
        to_come = {each for each in noted if each >= row} - texts.keys()
        while to_come and row <= max(to_come):
            page = source.page(row=row, offset=offset, most=PAGE_ROWS)
            yield from (line for line in page if line.row in to_come)
            row, offset = page[-1].row + 1, page[-1].next_offset

    def _live(self, run: Run, noted: Mapping[int, str]) -> list[LiveRow]:
        return [each for each in self._runs.live(run.run_id) if each.row in noted]
