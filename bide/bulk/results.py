"""The parts of a run's results: one line for each row, written as rows end, never twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bide.bulk import objects
from bide.bulk.names import job_id, results_prefix
from bide.contract import Failure, FailureCode, JobState
from bide.ledger import AccountName, Record
from bide.ledger.charges import cost_of
from bide.ledger.timeline import money
from bide.money.amounts import amount
from bide.money.book import booked as sums_of
from bide.storage import Storage

#: A base64 text of that length is a picture, if none of its lines but the last is shorter than a line of base64.
_PICTURE_CHARACTERS, _LINE_CHARACTERS = 512, 60
_BASE64 = re.compile(r"(?:data:[^,]{0,100},)?[A-Za-z0-9+/_=\s-]*")

#: Code and message of a row whose job has no reason of its own, by the row's end.
_DEFAULT_REASONS = {
    "canceled": (FailureCode.CANCELED, "its run was canceled before it was bought"),
    "skipped": (FailureCode.CANCELED, "left out: the run's --max-jobs was reached"),
    "unconfirmed": (FailureCode.SUBMISSION_UNKNOWN, "its answer came late: `bide status` knows what became of its job"),
    "failed": (FailureCode.LOST, "its record is gone; look at the provider's own list before buying it again"),
}


@dataclass(frozen=True)
class EndedRow:
    """A row that has ended; `record` is None where the row never had a job, or where its record is gone."""

    run_id: str
    row: int
    end: str
    kind: str
    request_json: bytes
    record: Record | None = None
    account: AccountName | None = None
    #: What all that the row may buy costs [millionths]; 0 where no price is known.
    price: int = 0
    #: Whether the run's budget is kept by the book: then the row has cost what stands there for it.
    by_book: bool = False

    def lines(self, copies: list[int]) -> list[str]:
        """The row's line, and a line for each row that repeats it: those were bought with it, and cost nothing more."""
        line = self.line()
        copied = {**line, "copy_of": self.row, "spent": line["spent"] and 0.0}
        return [dumped(line), *(dumped({**copied, "row": row}) for row in copies)]

    @property
    def charged(self) -> int:
        """The most that the row has cost [millionths]."""
        price = self.price
        if self.record is None:
            return price if self.kind == "o" else 0  # its record is gone, so that it may have been bought
        fields = self.record
        if self.by_book:
            booked = sums_of(fields.text("booked"))
            return booked.spent + booked.reserved
        accepted = bool(fields.text("submitted")) or self.end == "unconfirmed" or self._given_up_in_doubt
        canceled_under_way = self.end == "canceled" and fields.number("submits") > 0
        again = bool(fields.text("again"))
        if fields.text("resubmit") and not again:
            price //= 2  # the other half was reserved for a second purchase
        return price if accepted or canceled_under_way or again else 0

    @property
    def _given_up_in_doubt(self) -> bool:
        """Whether it failed although its submit may have been accepted: an operator looked no further."""
        record = self.record
        return record is not None and self.end == "failed" and bool(record.text("given_up")) and not record.text("free")

    def line(self) -> dict[str, Any]:
        """The row's line of the results."""
        result = json.loads(self.record.text("result") or "{}") if self.record else {}
        succeeded = self.end == JobState.SUCCEEDED
        submitted, finished = (self._moment(name) for name in ("submitted", "finished"))
        return {
            "row": self.row,
            "job_id": job_id(self.run_id, self.row),
            "state": self.end,
            "account": self.account.account if self.account else None,
            "request": _shown(self.request_json),
            "outputs": result.get("outputs", []),
            **{name: result[name] for name in ("partial", "warnings", "made_by", "tried") if result.get(name)},
            **self._cost(),
            "error": None if succeeded else self._failure().model_dump(mode="json"),
            "provider_job_id": (self.record.text("pid") or None) if self.record else None,
            "money": self._money(),
            "spent": amount(self.charged) if self.price else None,
            "polls": int(self.record.number("polls")) if self.record else 0,
            "submitted_at": submitted,
            "finished_at": finished,
        }

    def _cost(self) -> dict[str, Any]:
        """What it costs, where its provider says it, or its price does."""
        cost = cost_of(self.record) if self.record else None
        return {"cost": cost.model_dump()} if cost else {}

    def _money(self) -> str:
        if self.record:
            return money(self.record)
        return "may have been bought" if self.kind == "o" else "not bought"

    def _failure(self) -> Failure:
        if self.record and self.record.text("error"):
            return self.record.failure
        code, message = _DEFAULT_REASONS.get(self.end, _DEFAULT_REASONS["failed"])
        if self.kind == "x":
            code, message = FailureCode.INVALID_REQUEST, self._why_not_opened()
        provider = self.account.provider if self.account else None
        return Failure(code=code, message=message, job_id=job_id(self.run_id, self.row), provider=provider)

    def _why_not_opened(self) -> str:
        if _parsed(self.request_json):
            return "its job id belongs to another job: give the run another name"
        return "its line can't be read any more: the input was changed after the run began"

    def _moment(self, name: str) -> str | None:
        moment = self.record.moment(name) if self.record else None
        return moment.isoformat() if moment else None


def read(storage: Storage, run_id: str) -> Iterator[dict[str, Any]]:
    """All lines of a run's results, in the order in which the rows ended; raises `StorageError`."""
    for key in objects.keys(storage, results_prefix(run_id)):
        for line in objects.lines(storage, key):
            yield json.loads(line)


def _shown(request_json: bytes) -> dict[str, Any]:
    request = _parsed(request_json)
    names = {name: request.get(name) for name in ("provider", "operation")}
    return {**names, "params": _without_pictures(request.get("params", {})), "metadata": request.get("metadata", {})}


def _without_pictures(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_pictures(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_pictures(each) for each in value]
    if isinstance(value, str) and _is_picture(value):
        return f"({len(value)} characters left out)"
    return value


def _is_picture(text: str) -> bool:
    if len(text) < _PICTURE_CHARACTERS or not _BASE64.fullmatch(text):
        return False
    return all(len(line) >= _LINE_CHARACTERS for line in text.rpartition(",")[2].split()[:-1])


def _parsed(request_json: bytes) -> dict[str, Any]:
    try:
        request = json.loads(request_json)
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


def dumped(line: dict[str, Any]) -> str:
    """A line of the results as it lies in object storage."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))
