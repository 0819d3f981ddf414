"""Rows out of files: every oddity is read, or reported with its line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bide.bulk.intake import Intake, take_in
from bide.bulk.reading import MAX_LINE_BYTES, read_csv, read_jsonl
from bide.bulk.template import Template
from bide.errors import InvalidRequestError

REQUEST = {
    "provider": "photogpt",
    "operation": "images.generation",
    "params": {"modelID": "m1", "prompt": "a fox", "numImages": 1},
}
TEMPLATE = {
    **REQUEST,
    "params": {"modelID": "m1", "prompt": "{animal}, {{raw}}", "numImages": "{count}"},
    "metadata": {"sku": "{sku}", "tags": "{tags:json}"},
}


_opened: list[Intake] = []


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """What was taken in is closed after each test."""
    yield
    while _opened:
        _opened.pop().close()


def row(prompt: str, **more: Any) -> dict[str, Any]:
    """A request with its own prompt."""
    return {**REQUEST, "params": {**REQUEST["params"], "prompt": prompt}, **more}  # type: ignore[dict-item]


def taken(content: bytes) -> Intake:
    """A JSONL file, taken in."""
    _opened.append(take_in(read_jsonl(io.BytesIO(content))))
    return _opened[-1]


def jsonl(*rows: Any, end: str = "\n") -> bytes:
    """Requests, a line each."""
    return "".join(json.dumps(each) + end for each in rows).encode()


def from_csv(content: str, template: Any = None, *, encoding: str = "utf-8") -> Intake:
    """A CSV, taken in."""
    places = Template(json.dumps(template or TEMPLATE).encode())
    _opened.append(take_in(read_csv(io.BytesIO(content.encode(encoding)), places)))
    return _opened[-1]


def written(intake: Intake) -> list[dict[str, Any]]:
    """What the feeder will read."""
    intake.rows_file.seek(0)
    return [json.loads(line) for line in intake.rows_file.read().splitlines()]


def problems(intake: Intake) -> list[str]:
    """The problems."""
    return [str(problem) for problem in intake.problems]


def test_rows_are_written_down_as_bulk_requests() -> None:
    """Each is a request by itself, at bulk priority."""
    intake = taken(jsonl(row("a"), row("b", priority="interactive")))

    assert [each["priority"] for each in written(intake)] == ["bulk", "bulk"]
    assert (intake.rows, intake.jobs, problems(intake)) == (2, 2, [])


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + jsonl(row("ä"), row("b")),
        jsonl(row("ä"), row("b"), end="\r\n"),
        jsonl(row("ä")) + b"\n  \r\n" + jsonl(row("b")).rstrip(),
    ],
    ids=["BOM", "Windows", "empty lines"],
)
def test_ways_of_writing_the_same_rows(content: bytes) -> None:
    """A byte order mark, Windows line ends, empty lines and a missing last line end change nothing."""
    assert taken(content).digest == taken(jsonl(row("ä"), row("b"))).digest


def test_a_broken_line_in_the_middle_is_reported_and_the_others_are_read() -> None:
    """All problems are listed, each with its line and field; nothing is taken as if it were whole."""
    intake = taken(
        jsonl(row("a"))
        + b'{"provider": \n'
        + jsonl({"provider": "photogpt"})
        + b"\xff\n"
        + jsonl(row("b", priorty="x"))
    )

    assert [line.split(":")[0] for line in problems(intake)] == ["line 2", "line 3", "line 4", "line 5"]
    assert "is not JSON" in problems(intake)[0]
    assert "operation: is required" in problems(intake)[1]
    assert "is not UTF-8" in problems(intake)[2]
    assert "field 4: is not a known field" in problems(intake)[3]
    with pytest.raises(InvalidRequestError, match="4 rows can't be bought, so none was"):
        intake.check()


def test_only_the_first_problems_are_listed() -> None:
    """A file that is wrong from end to end does not flood the terminal."""
    intake = taken(b"x\n" * 1000)

    assert (len(intake.problems), intake.problem_count) == (20, 1000)
    with pytest.raises(InvalidRequestError, match="and 980 more"):
        intake.check()


def test_an_empty_file_is_refused() -> None:
    """There is nothing to run."""
    for content in (b"", b"\n\n", b"\xef\xbb\xbf"):
        with pytest.raises(InvalidRequestError, match="holds no rows"):
            taken(content).check()


def test_utf_16_and_endless_lines_are_reported() -> None:
    """What no reading could mend ends the reading."""
    assert problems(taken(json.dumps(row("a")).encode("utf-16"))) == ["line 1: file: is UTF-16; save it as UTF-8"]
    assert "bytes" in problems(taken(b" " * (MAX_LINE_BYTES + 1)))[0]


def test_a_row_brings_no_key_of_its_own() -> None:
    """Its run and number are its key."""
    assert "idempotency_key" in problems(taken(jsonl(row("a", idempotency_key="k"))))[0]


def test_rows_that_repeat_others_are_bought_with_them() -> None:
    """Equal requests are one job; a request that differs in any field is another."""
    intake = taken(jsonl(row("a"), row("b"), row("a"), row("a", metadata={"n": 2}), row("a")))

    assert intake.copies.first_of == {3: 1, 5: 1}
    assert (intake.rows, intake.jobs) == (5, 3)


def test_a_csv_fills_its_template() -> None:
    """Texts stay texts, numbers become numbers where the operation wants them, quotes and commas are the CSV's."""
    intake = from_csv('sku,animal,count,tags\r\n0042,"a fox, red",2,"[1,2]"\r\n\r\n7,owl,1,null\r\n')

    assert problems(intake) == []
    first, second = written(intake)
    assert first["params"] == {"modelID": "m1", "prompt": "a fox, red, {raw}", "numImages": 2}
    assert first["metadata"] == {"sku": "0042", "tags": [1, 2]}
    assert second["params"] == {"modelID": "m1", "prompt": "owl, {raw}", "numImages": 1}
    assert second["metadata"] == {"sku": "7", "tags": None}


def test_a_csv_of_excel_is_read() -> None:
    """A byte order mark, semicolons."""
    intake = from_csv("sku;animal;count;tags\n1;Bär;1;[]\n", encoding="utf-8-sig")

    assert written(intake)[0]["params"]["prompt"] == "Bär, {raw}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("sku,animal,count,tags\n1,a,1\n", "line 2: line: has 3 fields, the first line names 4 columns"),
        ("sku,animal,count,tags\n1,a,1,[\n", "line 2: column 4: is not JSON"),
        ("sku,animal,count,tags\n1,a,many,[]\n", "line 2: params.numImages:"),
        ('sku,animal,count,tags\n1,"a,1,[]\n', "is not CSV"),
    ],
)
def test_what_is_wrong_in_a_csv_is_reported_with_its_line(content: str, problem: str) -> None:
    """The message names the line, as that of a JSONL file does."""
    assert problem in problems(from_csv(content))[0]


def test_a_template_and_its_columns_must_fit() -> None:
    """Reported once, instead of once for each row."""
    with pytest.raises(
        InvalidRequestError, match=r"no column count, tags in the first line, which names 3; .* column 2$"
    ):
        from_csv("sku,breed,animal\n1,b,a\n")
    with pytest.raises(InvalidRequestError, match="all rows would be the same"):
        from_csv("sku\n1\n", REQUEST)
    with pytest.raises(InvalidRequestError, match="two have the same name"):
        from_csv("sku,sku\n1,2\n")
    with pytest.raises(InvalidRequestError, match="one JSON object"):
        Template(b"[]")
