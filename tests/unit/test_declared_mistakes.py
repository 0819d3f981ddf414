"""Mistakes in providers' files: each with file, line, key and remedy, all of them at once, and nothing starts."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.errors import BideError, ConfigurationError
from bide.providers import declared, in_python, installed
from bide.providers.base import Account, Answer, Submission, Ticket
from bide.providers.declared.adapter import adapter_class
from bide.providers.declared.files import compiled, read
from bide.providers.declared.mistakes import Mistake, MistakesError, Source
from bide.providers.declared.positions import positions

ROOT = Path(__file__).parents[2]

#: A file without mistakes.
GOOD = """\
[provider]
name = "inkwell"
base_url = "https://api.inkwell.example/v1"

[auth]
headers = { Authorization = "Bearer {api_key}" }

[operations.draw]
params.text = { type = "string", required = true }
params.n = { type = "integer" }
lane = "{params.text}"
price = { "*" = "0.02" }

[operations.draw.submit]
path = "/ink"
json = "{params}"

[operations.draw.accepted]
id = "$.ink_id"
handle = { status = "$.status_url" }

[operations.draw.poll]
path = "/ink/{id}"

[operations.draw.state]
at = "$.state"
running = ["drying"]
done = ["dry"]
failed = ["spilled"]

[operations.draw.result]
media = "$.address"
"""

#: Further tables, so that each type of key stands somewhere.
MORE = """
[operations.draw.params.size]
type = ["integer", "string"]
default = 3
minimum = 1
maximum = 4

[operations.draw.cancel]
method = "PUT"
path = "/ink/{id}"
stopped = 200

[operations.draw.state.cause]
moderated = "blocked"

[operations.draw.idempotency]
contract = "replay"
live_seconds = 60

[catalogs.inks]
path = "/inks"
entries = ["$.a", "$"]
"""

ACCOUNT = Account("https://api.inkwell.example/v1", "a-key")
SUBMIT, POLL, STATE = "operations.draw.submit", "operations.draw.poll", "operations.draw.state"


def mistakes_of(*texts: str | bytes, folder: Path, name: str = "inkwell") -> list[Mistake]:
    """The mistakes of files with these texts, each in a folder of its own."""
    files = []
    for number, text in enumerate(texts):
        file = folder / str(number) / f"{name}.toml"
        file.parent.mkdir()
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        files.append(file)
    try:
        read(files, in_python())
    except MistakesError as error:
        return list(error.mistakes)
    return []


def with_line(old: str, new: str) -> str:
    """The good file with a line exchanged."""
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_the_good_file_has_none(tmp_path: Path) -> None:
    """Else the others would show nothing."""
    assert mistakes_of(GOOD, folder=tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "key", "wrong", "remedy"),
    [
        (
            'name = "inkwell"',
            'name = "ink/well"',
            "provider.name",
            "has characters that it can't have",
            "small letters",
        ),
        ('name = "inkwell"', 'name = "photogpt"', "provider.name", "installed already", "choose another"),
        ('name = "inkwell"', 'name = "inkpot"', "provider.name", "is not how the file is named", "rename the file"),
        ('name = "inkwell"', "name = 7", "provider.name", "must be a valid string", "set it to"),
        (
            'base_url = "https://api.inkwell.example/v1"',
            'base_url = "ftp://x"',
            "provider.base_url",
            "is no http",
            "set it",
        ),
        (
            'base_url = "https://api.inkwell.example/v1"',
            'hosts = ["a", "*.com", "b/c"]',
            "provider.hosts[1]",
            "is no host",
            "*.example.com",
        ),
        ('base_url = "https', 'base_ulr = "https', "provider.base_ulr", "is not a known key", "did you mean base_url?"),
        ("{api_key}", "{api_kye}", "auth.headers.Authorization", "{api_kye} names nothing", "did you mean api_key?"),
        ("{api_key}", "{api_key", "auth.headers.Authorization", "without its partner", "correct the template"),
        ('lane = "{params.text}"', 'lane = "{params.txet}"', "operations.draw.lane", "names nothing", "params.text?"),
        ('lane = "{params.text}"', 'lane = "{params.n}"', "operations.draw.lane", "may be absent", "{params.n?}"),
        ('"0.02"', '"0.02 / (2 - 2)"', "operations.draw.price.*", "divides by zero", "what it costs"),
        ('"0.02"', '"0.02 * params.m"', "operations.draw.price.*", "params.m names nothing", "there are n, text"),
        (
            '"0.02"',
            "\"__import__('os').system('x')\"",
            "operations.draw.price.*",
            "there are ceil, length, max, megapixels",
            "what it costs",
        ),
        ('"0.02"', '"0.02 *"', "operations.draw.price.*", "is no price", "what it costs"),
        ('path = "/ink"', 'path = "ink"', f"{SUBMIT}.path", "must begin with a slash", "set it to"),
        ('path = "/ink"', 'path = "https://x.example/ink"', f"{SUBMIT}.path", "is a whole address", "set it to"),
        ('path = "/ink"', "", f"{SUBMIT}.path", "is missing", "set it to the path"),
        ('path = "/ink"', 'path = "/ink/{params.n?}"', f"{SUBMIT}.path", "may be absent in a path", "question mark"),
        ('path = "/ink"', 'path = "/ink"\nquery = { k = "{api_key}" }', f"{SUBMIT}.query.k", "is a secret", "header"),
        ('path = "/ink"', 'path = "/ink"\nmethod = "BUY"', f"{SUBMIT}.method", "must be 'GET'", "set it to POST"),
        (
            'json = "{params}"',
            'json = { a = [{ b = "{nope}" }] }',
            f"{SUBMIT}.json.a[0].b",
            "names nothing",
            "may name",
        ),
        ('json = "{params}"', 'json = { h = "{hook}" }', f"{SUBMIT}.json.h", "is absent where", "{hook?}"),
        ('json = "{params}"', 'json = { k = "{key}" }', f"{SUBMIT}.json.k", "needs a promise", "idempotency"),
        (
            'json = "{params}"',
            'json = "{params}"\nform = { a = "b" }',
            f"{SUBMIT}.form",
            "stands beside json",
            "one body",
        ),
        ('id = "$.ink_id"', 'id = "$.["', "operations.draw.accepted.id[0]", "is no JSON path", "the job's id"),
        ('id = "$.ink_id"', 'id = "ink_id"', "operations.draw.accepted.id[0]", "is no JSON path", "the job's id"),
        ('id = "$.ink_id"', "", "operations.draw.accepted.id", "is missing", "the job's id"),
        (
            'type = "integer"',
            'type = "integer", default = "x"',
            "operations.draw.params.n.default",
            "does not fit",
            "value",
        ),
        ('type = "integer"', "enum = [1, 2], default = 3", "operations.draw.params.n.default", "does not fit", "value"),
        (
            'type = "integer"',
            "minimum = 4, maximum = 3",
            "operations.draw.params.n.minimum",
            "is above maximum",
            "as much or less",
        ),
        (
            'lane = "{params.text}"',
            'one_of = [["txt", "n"]]',
            "operations.draw.one_of[0]",
            "'txt' names nothing",
            "did you mean text?",
        ),
        ('json = "{params}"', "json = { at = 2026-01-01 }", f"{SUBMIT}.json", "holds what JSON can't", "the body"),
        ('json = "{params}"', "json = { x = nan }", f"{SUBMIT}.json", "holds what JSON can't", "the body"),
        ("/ink/{id}", "/ink/{handle.statsu}", f"{POLL}.path", "names nothing", "handle.status?"),
        ("/ink/{id}", "/ink/:id", f"{POLL}.path", "names no job", "did you mean /ink/{id}?"),
        ("/ink/{id}", "/ink/<ink_id>/state", f"{POLL}.path", "names no job", "did you mean /ink/{id}/state?"),
        ("/ink/{id}", "/ink/${INK}", f"{POLL}.path", "names nothing", "it may name handle, id"),
        ("/ink/{id}", "/ink", f"{POLL}.path", "names no job", "put {id} where"),
        (
            'media = "$.address"',
            'media = "$.address"\nurl = "{handle.status}"\npath = "/result"',
            "operations.draw.result.path",
            "names no job",
            "put {id} where",
        ),
        ("Bearer {api_key}", "Bearer YOUR_API_KEY", "auth.headers", "api_key is sent nowhere", "put {api_key} where"),
        (
            'headers = { Authorization = "Bearer {api_key}" }',
            'credentials = ["user", "word"]\nheaders = { Authorization = "{user}" }',
            "auth.headers",
            "word is sent nowhere",
            "put {word} where",
        ),
        (
            'headers = { Authorization = "Bearer {api_key}" }',
            'headers = { "Bearer {api_key}" = "" }',
            "auth.headers.Bearer {api_key}",
            "is no name of a header",
            "headers of every call",
        ),
        (
            'at = "$.state"',
            'at = ["$.state"]',
            f"{STATE}.at",
            "must be one JSON path, in quotes",
            "where the job's state",
        ),
        ('at = "$.state"', 'at = "$..state"', f"{STATE}.at", "leave out wildcards", "where the job's state"),
        ('done = ["dry"]', 'done = ["dry", "Drying"]', f"{STATE}.done", "stands in running, too", "take one"),
        ('done = ["dry"]', "done = 7", f"{STATE}.done", "must be a word", "set it to words"),
        ('media = "$.address"', "", "operations.draw.result.media", "is missing", "$.images"),
        (
            'media = "$.address"',
            'media = "$.a"\nkinds = 1',
            "operations.draw.result.kinds",
            "is not a known key",
            "there are",
        ),
        ("[operations.draw.state]", "[operations.draw.stat]", "operations.draw.stat", "is not a known key", "state?"),
        ("[operations.draw.state]", "[operations.draw.stat]", "operations.draw.state", "is missing", "set it to"),
    ],
)
def test_each_kind_has_line_key_and_remedy(
    tmp_path: Path, old: str, new: str, key: str, wrong: str, remedy: str
) -> None:
    """The line is that of the key, or of the table that lacks it."""
    text = with_line(old, new)
    found = [it for it in mistakes_of(text, folder=tmp_path) if it.key.removesuffix("[0]") == key.removesuffix("[0]")]
    assert found, key
    mistake = next(it for it in found if wrong in it.wrong)
    assert remedy in mistake.remedy
    assert mistake.line is not None
    line = text.splitlines()[mistake.line - 1]
    parts = [part.partition("[")[0] for part in key.split(".")]
    assert any(part in line for part in (*parts, parts[-1])), (line, key)


@pytest.mark.parametrize(
    "body",
    [
        'path = "/state"\nmethod = "POST"\njson = { task = { ids = ["{id}"] } }',
        'path = "/state"\nquery = { id = "{id}" }',
        'path = "/state"\nheaders = { X-Job = "{id}" }',
        'url = "{handle.status}"',
    ],
)
def test_a_job_may_be_named_outside_of_the_path(tmp_path: Path, body: str) -> None:
    """In the body, the query, a header, or by an address of the submit's answer."""
    assert mistakes_of(with_line('path = "/ink/{id}"', body), folder=tmp_path) == []


@pytest.mark.parametrize(
    "auth",
    ["credentials = []", 'credentials = ["word"]\nheaders = { X-Key = "{word}" }', ""],
)
def test_a_secret_may_be_sent_in_a_body_or_not_be_there(tmp_path: Path, auth: str) -> None:
    """A key in the body of a submit; an API without a key."""
    text = with_line('headers = { Authorization = "Bearer {api_key}" }', auth)
    if not auth:
        text = text.replace('json = "{params}"', 'json = { "..." = "{params}", key = "{api_key}" }')
    assert mistakes_of(text, folder=tmp_path) == []


def test_a_default_that_a_price_divides_by(tmp_path: Path) -> None:
    """Nothing divided by nothing, too."""
    for price in ("1 / params.n", "params.n / params.n"):
        text = GOOD.replace('params.n = { type = "integer" }', 'params.n = { type = "integer", default = 0 }')
        folder = tmp_path / price.replace("/", "_")
        folder.mkdir()
        (mistake,) = mistakes_of(text.replace('"0.02"', f'"{price}"'), folder=folder)
        assert "divides by zero" in mistake.wrong


def test_all_mistakes_of_all_files_at_once(tmp_path: Path) -> None:
    """Several in one file, a file that is no TOML, one that is not UTF-8, and two of one name."""
    texts = (
        with_line('at = "$.state"', 'at = "state"').replace('id = "$.ink_id"', ""),
        GOOD,
        '[provider]\nname = "a"\nname = "b"\n',
        "[provider]\nname = \n",
        b'[provider]\nname = "\xff"\n',
    )
    found = mistakes_of(*texts, folder=tmp_path)
    shown = [(it.file.parent.name, it.line, it.says) for it in found]
    assert len(found) == 6
    assert ("1", 2, f"provider.name: 'inkwell' is the name of {tmp_path}/0/inkwell.toml, too") in shown
    assert [line for folder, line, _ in shown if folder in ("2", "3", "4")] == [3, 2, 2]
    assert all(it.remedy for it in found)
    message = str(MistakesError(found))
    assert message.startswith("6 mistakes in files of providers:\n")
    assert message.count("\n") == 6


def test_what_can_not_be_read_is_a_mistake_too(tmp_path: Path) -> None:
    """A folder of that name, and a link that leads nowhere."""
    (tmp_path / "a.toml").mkdir()
    (tmp_path / "b.toml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(MistakesError) as raised:
        read(sorted(tmp_path.glob("*.toml")))
    assert [mistake.wrong.partition(" (")[0] for mistake in raised.value.mistakes] == ["can't be read"] * 2


@pytest.fixture
def afresh() -> Iterator[None]:
    """Providers are looked for anew in the test, and after it."""
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.mark.usefixtures("afresh")
def test_files_of_named_folders_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`BIDE_PROVIDERS_PATH` names several; one that is named twice counts once."""
    for folder, name in (("one", "inkwell"), ("two", "inkpot")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.toml").write_text(GOOD.replace("inkwell", name), encoding="utf-8")
    named = [tmp_path / "one", tmp_path / "two", tmp_path / "one"]
    monkeypatch.setenv(declared.PATH_VARIABLE, os.pathsep.join(map(str, named)))
    assert {"inkwell", "inkpot", "photogpt"} <= set(installed())


@pytest.mark.usefixtures("afresh")
def test_a_folder_that_is_none_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its providers would be missed one by one, later."""
    monkeypatch.setenv(declared.PATH_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="nowhere: is no folder; correct BIDE_PROVIDERS_PATH"):
        installed()


_NAMES = st.text("abc-_1 .'\"#\n\u00e9", min_size=1, max_size=4)
_VALUES = st.recursive(
    st.integers() | st.booleans() | st.text("a\"'#\\\n{}[],= ", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)


def _toml(value: Any) -> str:
    """A value as TOML: strings as JSON has them, which TOML takes, too."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[ # ]\n" + "".join(f"  {_toml(entry)}, # , [\n" for entry in value) + "]"
    return json.dumps(value)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tables=st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=3), max_size=3))
def test_positions_find_every_key(tables: dict[str, dict[str, Any]]) -> None:
    """Whatever a document holds, each of its keys has a line, and the line of a field is where it was written."""
    lines, expected = list[str](), {}
    for number, (name, fields) in enumerate(tables.items()):
        lines.append(f"[[{json.dumps(name)}]]" if number % 2 else f"[ {json.dumps(name)} ] # [x]")
        for field, value in fields.items():
            key = (name, 0, field) if number % 2 else (name, field)
            expected[key] = "\n".join(lines).count("\n") + 2
            lines.append(f"{json.dumps(field)} = {_toml(value)}")
    text = "\n".join(lines) + "\n"
    found = positions(text)
    assert set(places(tomllib.loads(text))) == set(found)
    assert {key: found[key] for key in expected} == expected


def test_no_process_starts_with_a_mistake(tmp_path: Path) -> None:
    """Neither worker nor poller: the end is 1, with all mistakes and no traceback."""
    (tmp_path / "a.toml").write_text('[provider]\nname = "b"\n', encoding="utf-8")
    own = {"BIDE_S3__BUCKET": "results", declared.PATH_VARIABLE: str(tmp_path), "DOTENV": str(tmp_path / ".env")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")} | own
    started = subprocess.run(
        [sys.executable, "-c", "import workers.app"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 1
    first, *rest = started.stderr.strip().splitlines()
    assert first == "2 mistakes in files of providers:"
    assert [line.strip().partition(": ")[0] for line in rest] == [f"{tmp_path}/a.toml", f"{tmp_path}/a.toml:2"]


#: What may stand anywhere in a file by mistake.
ODD: tuple[Any, ...] = (
    *(7, -1, 0, 1.5, True, float("inf"), 10**40, date(2026, 1, 1), "", "x", "{", "{x}", "{params}", "{id}", "$"),
    *("$.a", "$..a[*]", "\x1b[31m", "a" * 1000, [], {}, [[]], [{}], {"": ""}, {"...": 1}),
)


def places(value: Any, key: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The keys of all values of a document."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in entries:
        yield (*key, name)
        yield from places(entry, (*key, name))


def test_whatever_stands_anywhere_is_a_mistake_or_works() -> None:
    """Each value of the file exchanged for something odd: mistakes with remedies, or an adapter that builds calls."""
    document = tomllib.loads(GOOD + MORE)
    built = 0
    for *parents, last in map(list, places(document)):
        for odd in ODD:
            changed = copy.deepcopy(document)
            at: Any = changed
            for part in parents:
                at = at[part]
            at[last] = odd
            found, mistakes = compiled(Source(Path("inkwell.toml"), changed, {}))
            assert all(mistake.wrong and mistake.remedy for mistake in mistakes)
            if found is not None and not mistakes:
                built += 1
                adapter = adapter_class(found)()
                for operation in adapter.operations:
                    with suppress(BideError):
                        json.dumps(adapter.submit_call(Submission("j", operation, {"text": "x"}), ACCOUNT).json)
                    with suppress(BideError):
                        adapter.poll_outcome(Answer(200, {}, b'{"state": "dry"}'), Ticket(operation, "1"), ACCOUNT)
    assert built > 50
