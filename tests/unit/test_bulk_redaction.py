"""What is wrong with a file of rows is reported by line, number and rule: no word of the file goes into a message."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.bulk.intake import take_in
from bide.bulk.reading import MAX_LINE_BYTES, RawRow, read_csv, read_jsonl
from bide.bulk.template import Template
from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError
from bide.providers import installed
from tests.unit.bulk_world import row

#: Stands for a text that only the owner of the file may read; it has the form of a name on the wire.
PLANTED = "planted-word"

TEMPLATE = row("{animal}", metadata={"tags": "{tags:json}"})

DREAM = {"provider": "dreambooth", "operation": "text2img", "params": {"model_id": "m", "prompt": "a"}}
BOOTH = {"provider": "cyberphotobooth", "operation": "generate", "params": {"mode": "m", "style": "s"}}


def complaints(rows: Iterator[RawRow]) -> str:
    """The message about a file, which must be wrong."""
    try:
        intake = take_in(rows)
    except InvalidRequestError as error:
        return error.redacted
    try:
        intake.check()
    except InvalidRequestError as error:
        return error.redacted
    finally:
        intake.close()
    raise AssertionError("nothing is wrong with it")


def of_jsonl(content: bytes) -> str:
    """The message about a JSONL file."""
    return complaints(read_jsonl(io.BytesIO(content)))


def of_csv(content: str | bytes, template: Any = None) -> str:
    """The message about a CSV."""
    data = content if isinstance(content, bytes) else content.encode()
    return complaints(read_csv(io.BytesIO(data), Template(json.dumps(template or TEMPLATE).encode())))


def nested(depth: int) -> Any:
    """A planted name in itself, many times."""
    value: Any = PLANTED
    for _ in range(depth):
        value = {PLANTED: value}
    return value


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({**row("a"), PLANTED: 1}, "field 4: is not a known field; check the spelling"),
        (row("a", priority=PLANTED, account=f"/{PLANTED}"), "account: must be"),
        ({**row("a"), "provider": PLANTED}, "provider: there is none of that name; installed are "),
        ({**row("a"), "operation": PLANTED}, "operation: photogpt has none of that name; it has "),
        (row("a", inputs={PLANTED: 1}), "inputs.field 1: Input should be a valid string"),
        ({**DREAM, "inputs": {PLANTED: "x"}}, "inputs: dreambooth text2img takes no pictures, got 1"),
        (row("a", metadata=PLANTED), "metadata: Input should be a valid dictionary"),
        (row("a", metadata=nested(225)), "request: is nested too deeply"),
        (row("a", metadata=nested(254)), "request: is nested too deeply"),
        (row("a", params=nested(600)), "params.field 1.field 1: "),
        (row("a", deadline_seconds=PLANTED), "deadline_seconds: "),
        (row("a", on_unknown=PLANTED), "on_unknown: Input should be 'hold' or 'resubmit'"),
        (row("a", callback_url=PLANTED), "callback_url: "),
        (row("a", output_prefix=f"runs/{PLANTED}"), "output_prefix: can't begin with "),
        (row("a", output_prefix=f"/{PLANTED}"), "output_prefix: "),
        (row("a", idempotency_key=PLANTED), "idempotency_key: "),
        (PLANTED, "request: must be a JSON object, not str"),
        ([PLANTED], "request: must be a JSON object, not list"),
        (
            {"provider": "photogpt", "operation": "models.train", "params": {"modelID": "m", PLANTED: 1}},
            "params.field 2: is not a known field",
        ),
        (row("a", params={"modelID": "m", "prompt": {PLANTED: PLANTED}}), "params.prompt: Input should be"),
        (row("a", params={PLANTED: "p"}), "params.modelID: is required"),
        (
            {**BOOTH, "params": {**BOOTH["params"], "params": {PLANTED: "data:image/png;base64,AA"}}},  # type: ignore[dict-item]  # mypy takes the values for texts
            "params: a field must be base64 without its data-URI prefix",
        ),
        ({**row("a"), **{f"{PLANTED}{number}": 1 for number in range(500)}}, "and 490 more"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_no_word_of_a_row_is_repeated(request_: Any, expected: str) -> None:
    """Fields that bide knows are named, others are numbered."""
    message = of_jsonl(json.dumps(request_).encode())

    assert expected in message
    assert PLANTED not in message
    assert len(message) < 1500


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{PLANTED},animal\n1,a\n", "no column for place 2 in the first line, which names 2; "),
        (f"{PLANTED},animal\n1,a\n", "the template does not use column 1"),
        (f"animal,{PLANTED},tags,{PLANTED}\n", "two have the same name: 2, 4"),
        (f"animal,tags\n{PLANTED}\n", "line 2: line: has 1 fields, the first line names 2 columns"),
        (f"animal,tags\na,{PLANTED}\n", "line 2: column 2: is not JSON"),
        (f"animal,tags\na,{'[' * 100_000}{PLANTED}\n", "line 2: column 2: is not JSON"),
        (f'animal,tags\na,"{PLANTED}\n', "is not CSV"),
        (f'animal,tags\na,"{PLANTED}"x\n', "is not CSV"),
        (f'animal,tags\n"",""\n{PLANTED},{{}}\n,"{PLANTED}"\n', "line 4: column 2: is not JSON"),
        (f"animal,tags\n{PLANTED}".encode() + b"\xff,1\n", "file: is not UTF-8"),
        (PLANTED * (MAX_LINE_BYTES // 10), "file: has a line of over"),
        (f"animal,tags\n{PLANTED * (MAX_LINE_BYTES // 10)}", "file: has a line of over"),
        (f"{PLANTED}\0{PLANTED}=1\0", "no column for place 1, 2 in the first line, which names 1"),
        ("," * 300_000 + "\n", "holds no rows"),
        (PLANTED + ",a" * 300_000 + "\n", "two have the same name: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 299990 more"),
    ],
    ids=lambda value: str(value[:40]),
)
def test_no_word_of_a_csv_is_repeated(content: str | bytes, expected: str) -> None:
    """Columns of the file and places of the template are numbered."""
    message = of_csv(content)

    assert expected in message
    assert PLANTED not in message
    assert len(message) < 1500


def test_no_word_that_a_cell_brings_as_json_is_repeated() -> None:
    """What a cell holds may become the names of a request."""
    cell = json.dumps({PLANTED: 1}).replace('"', '""')
    for field in ("inputs", "params"):
        message = of_csv(f'cell\n"{cell}"\n', {**row("a"), field: "{cell:json}"})
        assert field in message
        assert PLANTED not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{PLANTED}\n{{".encode(), "line 1: line: is not JSON: Expecting value at character 1"),
        (f'{{"{PLANTED}": {PLANTED}}}'.encode(), "is not JSON: Expecting value at character"),
        (f'{{"{PLANTED}": "\\x"}}'.encode(), "is not JSON: Invalid \\escape"),
        (PLANTED.encode() + b"\xff", "is not UTF-8"),
        (b"[" * 100_000 + PLANTED.encode(), "is not JSON that can be read"),
        (b"1" * 5000, "is not JSON that can be read"),
        (f"{PLANTED}\0{PLANTED}=1\0".encode(), "is not JSON"),
        (PLANTED.encode() * (MAX_LINE_BYTES // 10), "line: is over"),
        (PLANTED.encode("utf-16"), "is UTF-16"),
    ],
    ids=lambda value: str(value[:40]),
)
def test_no_word_of_what_is_no_json_is_repeated(content: bytes, expected: str) -> None:
    """Only where it is wrong."""
    message = of_jsonl(content)

    assert expected in message
    assert PLANTED not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PLANTED.encode(), "template: is not JSON: Expecting value at line 1, character 1"),
        (b"\xff" + PLANTED.encode(), "template: is not UTF-8"),
        (b'{"a":' * 100_000, "template: is not JSON that can be read"),
        (b"1" * 5000, "template: is not JSON that can be read"),
        (json.dumps([PLANTED]).encode(), "template: must be one JSON object"),
    ],
    ids=lambda value: str(value[:40]),
)
def test_no_word_of_what_is_no_template_is_repeated(content: bytes, expected: str) -> None:
    """A template may be the wrong file, too."""
    with pytest.raises(InvalidRequestError) as refused:
        Template(content)

    assert str(refused.value).startswith(expected)
    assert PLANTED not in str(refused.value)


def test_a_templates_columns_are_named_up_to_a_length() -> None:
    """A file that is no template may hold a brace at its beginning and another at its end."""
    wrong = {"prompt": "{" + PLANTED * 1000 + "}", "rest": [f"{{{number}}}" for number in range(500)]}

    message = of_csv("sku\n1\n", wrong)
    with pytest.raises(InvalidRequestError) as shown:
        Template(json.dumps(wrong).encode()).check(["sku"])

    assert max(len(message), len(str(shown.value))) < 1500


@pytest.mark.parametrize(
    ("template", "head", "expected"),
    [
        ({"provider": f"{{{PLANTED}}}"}, "a", "template: there is no column for place 1 in the first line"),
        ({"provider": "{a}", "params": {"x": f"{{{PLANTED}:json}}"}}, "a", "there is no column for place 2"),
        ({"provider": f"{{{PLANTED}:json}}"}, PLANTED, "line 2: column 1: is not JSON, as its place wants it"),
    ],
)
def test_no_place_of_a_template_is_repeated(template: Any, head: str, expected: str) -> None:
    """A message may name any object of a bucket as its template."""
    message = of_csv(f"{head}\n{PLANTED}\n", template)

    assert expected in message
    assert PLANTED not in message


def test_the_command_names_the_columns_of_its_own_template() -> None:
    """The person at the command may read the template, and mends it by its names."""
    with pytest.raises(InvalidRequestError, match="there is no column animal, tags in the first line"):
        Template(json.dumps(TEMPLATE).encode()).check(["sku"])


_NAMES = st.one_of(st.just(PLANTED), st.sampled_from(sorted(GenerateRequest.model_fields)), st.sampled_from(("a", "")))
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.just(PLANTED), st.just(f"data:x;base64,{PLANTED}")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=10,
)
_PROVIDERS = st.sampled_from([(name, each) for name, adapter in installed().items() for each in adapter.operations])


@given(_PROVIDERS, st.dictionaries(_NAMES, _VALUES, max_size=6), st.dictionaries(_NAMES, _VALUES, max_size=4))
def test_an_error_quotes_no_word_of_a_request(
    known: tuple[str, str], request_: dict[str, Any], params: dict[str, Any]
) -> None:
    """Requests for each operation of each provider, with words of the file in any place."""
    provider, operation = known
    whole = {"provider": provider, "operation": operation, "params": params, **request_}
    rows = [json.dumps(each).encode() for each in (whole, {**whole, "params": params, "provider": provider})]
    try:
        message = of_jsonl(b"\n".join(rows))
    except AssertionError:
        return
    assert PLANTED not in message


def test_an_error_names_the_fields_of_the_callers_own_request() -> None:
    """The caller of a request finds the misspelt word in the message."""
    meant = "is not a known field; did you mean priority?"
    with pytest.raises(InvalidRequestError, match=f"^priorty: {re.escape(meant)}$") as refused:
        GenerateRequest.parse(row("a", priorty="bulk"))
    assert refused.value.redacted == f"field 4: {meant}"
