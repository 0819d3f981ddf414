"""Jobs as the pages show them: short texts, no more of a request than people need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bide.bulk.names import RUN_ID
from bide.bulk.sheet.rows import PAGE_ROWS
from bide.contract import JobState, Output
from bide.kinds import kind_of, shown_first
from bide.ledger import Record
from bide.ledger.charges import price_of
from bide.ledger.recent import Found
from bide.ledger.timeline import money

#: The most of a text on a list, and of a value of metadata [characters]; and how many values a list shows.
SHORT, VALUE, VALUES = 240, 40, 6

#: The prices of operations, by provider and operation.
Prices = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Row:
    """One job on a list; times are in seconds since the epoch, 0 where there is none."""

    job_id: str
    state: str
    account: str
    provider: str
    operation: str
    prompt: str
    created: float
    finished: float
    polls: int
    remark: str
    code: str
    money: str
    run: str
    metadata: tuple[tuple[str, str], ...]
    #: What stands for its picture, in a word of `bide.kinds`, '' without any; and its place among the outputs.
    kind: str
    shown: int
    outputs: int


def row_of(found: Found, prices: Prices) -> Row:
    """A job of the list as its row."""
    record, outputs = found.record, outputs_of(found.record)
    failure, shown = record.failure if record.text("error") else None, shown_first(outputs)
    return Row(
        job_id=record.job_id,
        state=record.text("state"),
        account=record.account.account,
        provider=record.account.provider,
        operation=record.text("op"),
        prompt=cut(found.prompt, SHORT),
        created=record.number("created"),
        finished=record.number("finished"),
        polls=int(record.number("polls")),
        remark=cut(failure.message if failure else record.partial or _note(record), SHORT),
        code=failure.code.value if failure else "",
        money=paid(record, prices),
        run=record.text("run"),
        metadata=tuple(_shown(found.metadata)),
        kind=kind_of(outputs[shown]) if outputs else "",
        shown=shown,
        outputs=len(outputs),
    )


def _note(record: Record) -> str:
    """What last happened, where that says more than the state, and how far a running job is."""
    state, note = record.text("state"), record.text("note")
    last = "" if state in (JobState.SUCCEEDED, note) else note
    return ", ".join(filter(None, [last, str(record.progress or "")]))


def outputs_of(record: Record) -> list[Output]:
    """The stored objects of a job, as far as this version knows their fields."""
    listed = json.loads(record.text("result") or "{}").get("outputs", [])
    return [
        Output.model_validate({name: each[name] for name in each if name in Output.model_fields}) for each in listed
    ]


def paid(record: Record, prices: Prices) -> str:
    """In a few words, whether a job was paid for, with its price, or the plain one that the settings have for it."""
    words = money(record).partition(",")[0].partition(";")[0]
    if words != "bought":
        return words
    plain = prices.get((record.account.provider, record.text("op")))
    price = str(price_of(record) or ("" if plain is None else f"{plain:g}"))
    return f"{words} · {price}" if price else words


def place_on_sheet(job_id: str) -> tuple[str, str] | None:
    """For the job of a run's row: the run, and the address of the row on the run's contact sheet."""
    run, _, row = job_id.rpartition(".")
    if not (RUN_ID.fullmatch(run) and row.isascii() and row.isdecimal()):
        return None
    page = (int(row) - 1) // PAGE_ROWS + 1
    name = "index.html" if page == 1 else f"page-{page:04}.html"
    return run, f"/objects/runs/{run}/{name}#row-{row}"


def cut(text: str, most: int) -> str:
    """The beginning of a text in one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _shown(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in list(metadata.items())[:VALUES]:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield cut(name, VALUE), cut(text, VALUE)
