"""Mistakes in providers' files: each with file, line, key and remedy, all of them at once, and nothing starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide.providers.declared.mistakes import MistakesError
from tests.unit.declared_files import GOOD, mistakes_of, with_line

SUBMIT, POLL, STATE = "operations.draw.submit", "operations.draw.poll", "operations.draw.state"


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
