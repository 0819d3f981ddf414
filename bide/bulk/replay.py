"""The replay of a run: its failed rows, bought again as a run of their own; unconfirmed rows never."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Container, Iterator
from functools import partial

from bide.bulk import objects, results
from bide.bulk.names import RUN_ID, input_key
from bide.bulk.reading import RawRow
from bide.contract import FailureCode
from bide.errors import InvalidRequestError
from bide.storage import Storage


def replay_id(run_id: str, codes: Collection[str]) -> str:
    """The name of a replay; the same replay always has the same name, so that it is one run."""
    named = "-".join([run_id, "replay", *sorted(set(codes))])
    if RUN_ID.fullmatch(named):
        return named
    return f"{run_id[:40]}-replay-{hashlib.sha256(named.encode()).hexdigest()[:12]}"


def check_codes(codes: Collection[str]) -> None:
    """Raise `InvalidRequestError` for codes that no failed row has."""
    offered = {code.value for code in FailureCode} - {FailureCode.SUBMISSION_UNKNOWN.value}
    if unknown := sorted(set(codes) - offered):
        raise InvalidRequestError(
            f"--code: no failed row has {', '.join(unknown)}; there are {', '.join(sorted(offered))}"
        )


def failed_rows(storage: Storage, run_id: str, codes: Collection[str] = ()) -> list[int]:
    """The rows that failed, by code if any are given; of rows that repeat one another the first.

    A row that an operator gave up is not among them: it may have been bought. Nor is one that was erased. A moderated
    row, which would be moderated again, is among them by its code alone.
    """
    return sorted(
        line["row"]
        for line in results.read(storage, run_id)
        if line["state"] == "failed"
        and not {"copy_of", "erased"} & line.keys()
        and _is_wanted(line["error"]["code"], codes)
    )


def _is_wanted(code: str, codes: Collection[str]) -> bool:
    return code in codes if codes else code not in (FailureCode.SUBMISSION_UNKNOWN, FailureCode.MODERATED)


def rows_of(storage: Storage, run_id: str, rows: Collection[int]) -> Iterator[RawRow]:
    """Some rows of a run's input, for another intake; raises `StorageError`."""
    wanted = frozenset(rows)
    for row, line in enumerate(objects.lines(storage, input_key(run_id)), start=1):
        if row in wanted:
            yield RawRow(row, partial(_parsed, line))


def _parsed(line: bytes, _: Container[str]) -> object:
    return json.loads(line)
