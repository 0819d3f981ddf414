"""CSV files as spreadsheets write them, and JSON with a name twice: each is read as it was meant, or refused."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import IO, Any

import pytest
from click.testing import CliRunner

from bide import strict_json
from bide.bulk.intake import Intake, take_in
from bide.bulk.rates import environment_quotes
from bide.bulk.reading import MOST_HEAD_LINES, read_csv, read_jsonl
from bide.bulk.template import Template
from bide.cli.main import main
from bide.errors import InvalidRequestError
from bide.settings.sections import ProviderSettings

IMAGES = {"provider": "photogpt", "operation": "images.generation"}
TEMPLATE = {
    **IMAGES,
    "params": {"modelID": "m1", "prompt": "{prompt}", "numImages": "{n}"},
    "metadata": {"sku": "{sku}"},
}
BOOTH = {
    "provider": "cyberphotobooth",
    "operation": "generate",
    "params": {"mode": "m", "style": "s", "return_s3_link": "{s3}", "params": {"p": "{prompt}"}},
}

_opened: list[Intake] = []


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """What was taken in is closed after each test."""
    yield
    while _opened:
        _opened.pop().close()


def intake(content: bytes | str, template: dict[str, Any] = TEMPLATE, *, file: IO[bytes] | None = None) -> Intake:
    """A CSV, taken in by a template."""
    raw = content.encode() if isinstance(content, str) else content
    _opened.append(take_in(read_csv(file or io.BytesIO(raw), Template(json.dumps(template).encode()))))
    return _opened[-1]


def rows(content: bytes | str, template: dict[str, Any] = TEMPLATE) -> list[Any]:
    """Params and metadata of each row; there is no problem."""
    taken = intake(content, template)
    assert [str(each) for each in taken.problems] == []
    taken.rows_file.seek(0)
    requests = [json.loads(line) for line in taken.rows_file.read().splitlines()]
    return [(each["params"], each.get("metadata")) for each in requests]


def problems(content: bytes | str, template: dict[str, Any] = TEMPLATE) -> list[str]:
    """What is wrong with its rows."""
    return [str(each) for each in intake(content, template).problems]


FOX = [({"modelID": "m1", "prompt": "a fox", "numImages": 2}, {"sku": "1"})]


@pytest.mark.parametrize(
    "content",
    [
        "sku,prompt,n\n1,a fox,2\n",
        "\n\nsku,prompt,n\n1,a fox,2\n",
        "\r\n \r\n\t\r\n,,\r\nsku,prompt,n\r\n1,a fox,2\r\n",
        ";;;\n\nsku;prompt;n\n1;a fox;2\n",
        "sku,prompt,n\n\n,,\n  , ,\n1,a fox,2\n\n,,\n",
        '"sku","prompt","n","a;b;c;d;e"\n1,a fox,2,x\n',
        '"sku";"prompt";"n";"a,b,c,d,e,f"\n1;a fox;2;x\n',
        '"a\tb\tc\td","sku","prompt","n"\nx,1,a fox,2\n',
        'sku,prompt,n,"say ""a;b;c;d;e"""\n1,a fox,2,x\n',
        'sku,prompt,"n"\n1,"a fox",2\n',
        '"sku","prompt","n","of two\nlines"\n1,a fox,2,x\n',
        '"sku",prompt,n,"of; \r\n two; \r\n and; three; lines"\r\n1,a fox,2,x\r\n',
        "sku,prompt,n,,\n1,a fox,2,,\n",
        "sku,prompt,n, ,\n1,a fox,2\n",
        "sku,prompt,n\n1,a fox,2,,,\n",
        "sku;prompt;n;;;\r\n1;a fox;2;;;\r\n",
        "sep=;\nsku;prompt;n\n1;a fox;2\n",
        "SEP=;\r\nsku;prompt;n\r\n1;a fox;2\r\n",
        "sep=|\nsku|prompt|n\n1|a fox|2\n",
        "sep=\t\nsku\tprompt\tn\n1\ta fox\t2\n",
        '"sep=;"\nsku;prompt;n\n1;a fox;2\n',
        "sep=,\n\nsku,prompt,n,a;b;c;d\n1,a fox,2,x\n",
        ",sku,prompt,n\n0,1,a fox,2\n",
        "sku,,prompt,,n\n1,x,a fox,y,2\n",
        "sku,prompt,n\n1,a fox,2.0\n",
        "sku,prompt,n\n1,a fox, 2 \n",
        "sku,prompt,n\r1,a fox,2\r",
        "\ufeffsku,prompt,n\n1,a fox,2\n",
        '\ufeff"sku","prompt","n"\n1,a fox,2\n',
        "\ufeffsep=;\nsku;prompt;n\n1;a fox;2\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_ways_of_writing_the_same_row(content: str, encoding: str) -> None:
    """Blank lines, quotes, delimiters, line ends, empty columns and encodings change nothing."""
    assert rows(content.removeprefix("\ufeff" if encoding == "utf-16" else "").encode(encoding)) == FOX


def test_a_name_of_two_lines_is_used_by_a_template() -> None:
    """With a blank where the line ends, or as the cell has it."""
    content = 'sku,"the\nprompt",n\n1,a fox,2\n'
    for place in ("{the prompt}", "{the\nprompt}"):
        template = {**TEMPLATE, "params": {**TEMPLATE["params"], "prompt": place}}  # type: ignore[dict-item]
        assert rows(content, template) == FOX


@pytest.mark.parametrize(
    ("cell", "value"),
    [("TRUE", True), ("FALSE", False), ("True", True), ("false", False), (" TRUE ", True), ("tRuE", True)],
)
def test_truth_values_as_spreadsheets_write_them(cell: str, value: bool) -> None:
    """In any case; a text that says so stays a text."""
    [(params, _)] = rows(f"s3,prompt\n{cell},TRUE\n", BOOTH)
    assert params["return_s3_link"] is value
    assert params["params"] == {"p": "TRUE"}


@pytest.mark.parametrize("cell", ["yes", "1", "WAHR", "TRUE;"])
def test_other_words_are_no_truth_values(cell: str) -> None:
    """They are refused, and none is guessed."""
    assert "params.return_s3_link" in problems(f"s3,prompt\n{cell},a\n", BOOTH)[0]


def test_an_empty_cell_leaves_an_optional_number_out() -> None:
    """Of params, of the request itself, and of a JSON place; a text stays an empty text."""
    template = {
        **TEMPLATE,
        "params": {**TEMPLATE["params"], "seed": "{seed}", "options": "{options:json}"},  # type: ignore[dict-item]
        "deadline_seconds": "{deadline}",
    }
    content = 'sku,prompt,n,seed,options,deadline\n,a fox,,,,\n2,a fox, ,7,"{""a"": 1}",60\n'
    first, second = rows(content, template)
    assert first == ({"modelID": "m1", "prompt": "a fox"}, {"sku": ""})
    assert second == ({"modelID": "m1", "prompt": "a fox", "seed": 7, "options": {"a": 1}}, {"sku": "2"})


def test_an_empty_cell_of_a_required_field_is_a_problem() -> None:
    """The row has no model: nothing is bought."""
    template = {**TEMPLATE, "params": {"modelID": "{model}", "prompt": "{prompt}"}}
    [problem] = problems("sku,model,prompt\n1,,a fox\n", template)
    assert problem.startswith("line 2: params.modelID: ")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("sku,prompt,n,,\n1,a fox, running,2,\n", "line 2: line: has 5 fields, the first line names 3 columns"),
        ("sku,prompt,n\n1,a fox\n", "line 2: line: has 2 fields, the first line names 3 columns"),
        ("\n\nsku,prompt,n\n1,a fox\n", "line 4: line: has 2 fields"),
        ("sep=;\nsku;prompt;n\n1;a fox\n", "line 3: line: has 2 fields"),
        ('sku,"the\nname",prompt,n\n1,x,a fox\n', "line 3: line: has 3 fields"),
        ('sku,prompt,n\n1,"a fox,2\n', "line 2: line: is not CSV"),
        ("sku,prompt,n\n1,a fox,two\n", "line 2: params.numImages"),
    ],
)
def test_wrong_rows_have_the_number_of_their_line(content: str, expected: str) -> None:
    """Counted as an editor counts them; a value without a column is never dropped."""
    assert problems(content)[0].startswith(expected)


def test_two_columns_of_one_name_are_refused() -> None:
    """Unnamed ones are none."""
    with pytest.raises(InvalidRequestError, match="two have the same name: 1, 3"):
        intake("sku,prompt,sku,n,,\n1,a,2,1,,\n")


@pytest.mark.parametrize("content", ["", "\n\n\n", ",,,\n;;\n", " \n\t\n", "\ufeff", "sep=;\n"])
def test_a_file_that_names_nothing_holds_no_rows(content: str) -> None:
    """And says so."""
    with pytest.raises(InvalidRequestError, match="holds no rows"):
        intake(content).check()


def test_a_file_of_blank_lines_is_not_kept() -> None:
    """However long it is: a header that far down is none."""
    tracemalloc.start()
    with pytest.raises(InvalidRequestError, match=f"in its first {MOST_HEAD_LINES} lines"):
        intake(b"\r\n" * 3_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_pipe_is_read_by_its_first_bytes() -> None:
    """Standard input can't be read again from its beginning."""

    class Pipe(io.BytesIO):
        def seek(self, *_: Any) -> int:
            raise OSError("a pipe")

        def seekable(self) -> bool:
            return False

    content = "sku,prompt,n\n1,a fox,2\n".encode("utf-16")
    taken = intake(b"", file=io.BufferedReader(Pipe(content)))
    assert (taken.rows, taken.problems) == (1, [])


# JSON with a name twice


def test_repeated_names_are_refused_in_rows() -> None:
    """At any depth; the row's words stay out of the problem."""
    good = json.dumps({**IMAGES, "params": {"modelID": "m1", "prompt": "a fox"}})
    twice = good.replace('"prompt"', '"prompt": "a bear", "prompt"')
    nested = good.replace('"modelID"', '"options": [{"secret": 1, "secret": 2}], "modelID"')
    taken = take_in(read_jsonl(io.BytesIO(f"{good}\n{twice}\n{nested}\n".encode())))
    _opened.append(taken)
    assert [str(each) for each in taken.problems] == [
        "line 2: line: a name stands twice in one object",
        "line 3: line: a name stands twice in one object",
    ]


def test_repeated_names_are_refused_in_templates_and_cells() -> None:
    """The template's own name is named to its writer."""
    with pytest.raises(InvalidRequestError, match="template: the name 'params' stands twice") as refused:
        Template(b'{"params": {}, "provider": "p", "params": {"a": "{x}"}}')
    assert "params" not in refused.value.redacted
    template = {**TEMPLATE, "params": {"modelID": "m", "prompt": "{prompt}", "options": "{o:json}"}}
    [problem] = problems('sku,prompt,o\n1,a,"{""k"": 1, ""k"": 2}"\n', template)
    assert problem == "line 2: column 3: a name stands twice in one object"


def test_repeated_names_are_refused_on_the_command_line() -> None:
    """In a request, and in the value of a param; a value that is no JSON is a text as before."""
    run = CliRunner()
    twice = '{"provider": "photogpt", "operation": "images.generation", "params": {"numImages": 1, "numImages": 4}}'
    refused = run.invoke(main, ["submit", "--request", "-"], input=twice)
    assert refused.exit_code == 2
    assert "the name 'numImages' stands twice in one object" in refused.stderr
    refused = run.invoke(main, ["submit", "photogpt", "images.generation", "-p", 'options={"a": 1, "a": 2}'])
    assert refused.exit_code == 2
    assert "options: the name 'a' stands twice in one object" in refused.stderr


def test_repeated_names_are_refused_in_settings() -> None:
    """A price that stands twice would be a guess."""
    twice = '{"images.generation": 0.02, "images.generation": 0.2}'
    with pytest.raises(ValueError, match="stands twice in one object"):
        ProviderSettings(prices=twice)
    with pytest.raises(InvalidRequestError, match=r"PRICES: the name 'images\.generation' stands twice"):
        environment_quotes({"BIDE_PROVIDERS__PHOTOGPT__PRICES": twice})


@pytest.mark.parametrize("text", ['{"a": 1}', "[]", '{"a": {"b": 1}, "b": {"a": 1}}', '[{"a": 1}, {"a": 2}]', '"x"'])
def test_other_json_is_read_as_ever(text: str) -> None:
    """Names may stand in several objects."""
    assert strict_json.loads(text) == json.loads(text)
