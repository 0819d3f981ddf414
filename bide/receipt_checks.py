"""Whether a receipt, or a `job.json`, may become a record: scripts take what they are given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bide.contract import JOB_ID, Failure, GenerateRequest, JobResult
from bide.ledger import AccountName
from bide.ledger.records import RECORD_VERSION
from bide.ledger.schema import FIELDS
from bide.ledger.words import BLANK
from bide.receipts import Accepted, Ended, Intent, Receipt
from bide.validation import NAME_PATTERN

#: The fields of a record without which a receipt says too little.
NEEDED = ("op", "fp", "created", "intended", "allowed")

#: The latest moment that is one: it has a date in every time zone [seconds since the epoch].
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()

#: The largest count: Redis's scripts count it exactly.
MOST = 10**15

#: The longest id of a provider.
MOST_ID_CHARACTERS = 1024

_KINDS = {one.name: one.kind for one in FIELDS}
_NUMBER = re.compile(r"-?\d{1,16}(\.\d{1,20})?(e[+-]?\d{1,2})?")
_ACCOUNT = re.compile(rf"{NAME_PATTERN[1:-1]}/{NAME_PATTERN[1:-1]}")
_BOOKED = re.compile(r"([\d,]+|none) \d{1,16} (\d{1,16}|\?) [a-z] \d{1,16} [l-] \S*")
_NO_ID = re.compile(rf"[^\S ]|{BLANK}")
_COST = re.compile(r"\d{1,10}(\.\d{1,18})? \S{1,64}")


def why_unfit(receipt: Receipt) -> str:
    """Why nothing can be made of a receipt, '' for one that is sound."""
    try:
        return next(_problems(receipt), "")
    except (ValueError, RecursionError) as error:  # pydantic's errors are of this kind, too
        return f"a part of it can't be read: {type(error).__name__}"


def why_no_result(result: JobResult, job_id: str) -> str:
    """Why nothing can be made of a `job.json` that lies where that of a job would."""
    if result.job_id != job_id or not JOB_ID.fullmatch(job_id):
        return "it is the result of another job"
    moments = (result.submitted_at or result.finished_at, result.finished_at)
    if not all(1970 < moment.year < 9999 for moment in moments):
        return "it has no real date"
    return "" if _is_id(result.provider_job_id or "") else "its id at the provider has another form"


def _problems(receipt: Receipt) -> Iterator[str]:
    if not JOB_ID.fullmatch(receipt.job_id):
        yield "its job id has another form"
    if not _ACCOUNT.fullmatch(receipt.account):
        yield "its account has another form"
    if not 0 <= receipt.at <= LATEST:
        yield "it has no real date"
    if not isinstance(receipt, Ended) and not 0 < receipt.attempt < MOST:
        yield "it has no number"
    match receipt:
        case Ended():
            yield from _problems_of_end(receipt)
        case Accepted():
            yield from _problems_of_acceptance(receipt)
        case Intent():
            yield from _problems_of_intent(receipt)


def _problems_of_end(ended: Ended) -> Iterator[str]:
    if ended.error:
        Failure.model_validate_json(ended.error)
    elif ended.state != "succeeded":
        yield "it does not say why the job ended"


def _problems_of_intent(intent: Intent) -> Iterator[str]:
    yield from _problems_of_record(intent.record)
    request = GenerateRequest.model_validate_json(intent.request)
    if intent.account not in {str(AccountName.of(each)) for each in request.in_turn()}:
        yield "its request names another account"


def _problems_of_acceptance(accepted: Accepted) -> Iterator[str]:
    if not _is_id(accepted.provider_job_id):
        yield "the id at the provider has another form"
    if accepted.cost and not _COST.fullmatch(accepted.cost):
        yield "its cost has another form"
    for text in (accepted.handle, "" if accepted.outputs == "ask" else accepted.outputs):
        if text:
            json.loads(text)


def _problems_of_record(record: Mapping[str, str]) -> Iterator[str]:
    if record.get("v") != RECORD_VERSION:
        yield "its record is of another release of bide"
    if missing := [name for name in NEEDED if not record.get(name)]:
        yield f"its record lacks {', '.join(missing)}"
    for name, value in record.items():
        kind = _KINDS.get(name, "text")
        if kind == "json" and value:
            json.loads(value)
        if kind in ("moment", "seconds", "count", "flag") and value and not _is_number(value):
            yield f"its record has a {name} that is no number"
    if not all(0 <= float(record[name]) <= LATEST for name in ("created", "intended", "deadline") if record.get(name)):
        yield "its record has no real date"
    tried = json.loads(record.get("tried") or "[]")
    if not isinstance(tried, list) or not all(map(_is_account_left, tried)):
        yield "its record has accounts of another form"
    lines = [line for line in record.get("booked", "").split(";") if line]
    if not all(map(_BOOKED.fullmatch, lines)):
        yield "its record has purchases of another form"
    if not all(0 <= float(line.split(" ")[1]) <= LATEST for line in lines):
        yield "its record has purchases without a real date"


def _is_account_left(entry: Any) -> bool:
    """Whether this is an account that a job has left, as `include/fallback.lua` writes it."""
    if not isinstance(entry, dict):
        return False
    words = [entry.get(name, "") for name in ("provider", "account", "code", "cost", "provider_job_id", "at")]
    known = all(isinstance(each, str) for each in words) and bool(_ACCOUNT.fullmatch("/".join(words[:2])))
    return known and _is_id(words[4]) and _is_number(words[5]) and (not words[3] or bool(_COST.fullmatch(words[3])))


def _is_id(text: str) -> bool:
    """Whether adapters and operators can name a job so; '' for none. Blanks may stand inside."""
    return len(text) <= MOST_ID_CHARACTERS and text == text.strip() and not _NO_ID.search(text)


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and abs(float(text)) <= MOST
