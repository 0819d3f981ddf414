"""`bide providers check`, `new` and `try`: what they print, write and refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bide.providers.declared.beginning import Beginning, text
from bide.providers.declared.samples import USUAL_KINDS
from tests.unit.provider_files import ANSWERS, folder, options, run, written

__all__ = ["folder"]


def test_new_writes_a_file_on_which_check_passes() -> None:
    """By options, by a file of answers, or by what is typed: it is the same file, with five samples."""
    file = written()
    content = file.read_text(encoding="utf-8")
    checked = run("check", str(file))
    assert checked.exit_code == 0, checked.output
    assert "all as expected; 5 of them are made up" in checked.output
    assert checked.output.count("  ok ") == len(USUAL_KINDS) == len(list(file.with_suffix(".samples").iterdir()))
    Path("answers.json").write_text(json.dumps(ANSWERS), encoding="utf-8")
    for arguments, typed in (
        (["--folder", "second", "--answers", "answers.json"], None),
        (["--folder", "third"], "".join(f"{answer}\n" for answer in ANSWERS.values())),
    ):
        result = run("new", *arguments, typed=typed)
        assert result.exit_code == 0, result.output
        assert (Path(arguments[1]) / "inkwell.toml").read_text(encoding="utf-8") == content


def test_new_takes_the_usual_answers() -> None:
    """Return alone where the question shows one."""
    result = run("new", *options()[:6], typed="\n" * 10)
    assert result.exit_code == 0, result.output
    assert run("check", "config/providers/inkwell.toml").exit_code == 0


def test_new_leaves_nothing_behind_where_an_answer_is_wrong(folder: Path) -> None:
    """All mistakes come at once, by question and key."""
    wrong = {"name": "a/b", "base_url": "ftp:/x", "id": "$.[", "key": "X: {api_kye}", "state": "status", "done": ","}
    result = run("new", *options(**wrong))
    assert result.exit_code == 1
    for place in (
        "--name: provider.name",
        "--base-url: provider.base_url",
        "--id: operations.draw.large.accepted.id",
        "--key: auth.headers.X",
        "--state: operations.draw.large.state.at",
        "--done: operations.draw.large.state.done",
    ):
        assert f"  {place}: " in result.output
    assert list(folder.rglob("*.toml")) == []


@pytest.mark.parametrize("operation", ["draw", "two words"])
def test_every_answer_has_its_question(operation: str) -> None:
    """Whatever is wrong with it, the question is named, and no other."""
    wrong = {
        "name": "A",
        "base_url": "api.inkwell.example",
        "key": "Authorization: Bearer YOUR_KEY",
        "submit": "CURL /ink",
        "id": "id",
        "poll": "GET /ink",
        "state": "$..state",
        "failed": "dry",
        "media": "pictures",
        "reason": "$.why[*]",
    }
    if operation != "draw":
        result = run("new", *options(operation=operation))
        assert re.findall(r"^  --([\w-]+):", result.output, re.MULTILINE) == ["operation"]
        return
    for name, answer in wrong.items():
        result = run("new", *options(**{name: answer}))
        assert result.exit_code == 1, name
        assert set(re.findall(r"^  --([\w-]+):", result.output, re.MULTILINE)) == {name.replace("_", "-")}, (
            result.output
        )


def test_new_asks_again_for_what_was_typed_wrong() -> None:
    """The other answers stay, the wrong one is the usual answer, and one that was given is an error."""
    typed = [*ANSWERS.values()]
    typed[0], typed[6] = "Inkwell", "job.ids"
    result = run("new", typed="".join(f"{answer}\n" for answer in (*typed, "inkwell", "$.job.ids[1]")))
    assert result.exit_code == 0, result.output
    assert "[job.ids]" in result.output
    assert written_text() == text_of(**ANSWERS)
    again = run("new", typed="".join(f"{answer}\n" for answer in (*ANSWERS.values(), "other")))
    assert again.exit_code == 0, again.output
    assert "inkwell.toml is there already" in again.output
    assert Path("config/providers/other.toml").exists()


def written_text() -> str:
    """The file that was written."""
    return Path("config/providers/inkwell.toml").read_text(encoding="utf-8")


def text_of(**answers: str) -> str:
    """The file that these answers make."""
    return text(Beginning(**answers))


@pytest.mark.parametrize(
    ("base_url", "submit", "poll"),
    [
        ("https://api.x.example/open/v1", "POST /ink", "GET /ink/{id}"),
        ("https://api.x.example/open/v1/", "POST /open/v1/ink", "GET /open/v1/ink/:id"),
        (
            "https://api.x.example/open/v1",
            "https://api.x.example/open/v1/ink",
            "https://api.x.example/open/v1/ink/<id>",
        ),
        ("https://api.x.example/open/v1", "post ink", "ink/{task_id}"),
        ("https://api.x.example/open/v1", "POST /ink", "GET /ink/${TASK}"),
    ],
)
def test_requests_are_taken_as_documentations_print_them(base_url: str, submit: str, poll: str) -> None:
    """The whole address, the path from the root, and the job's id in any form; what will be asked is shown."""
    result = run("new", *options(base_url=base_url, submit=submit, poll=poll))
    assert result.exit_code == 0, result.output
    assert result.output.startswith(
        "buys: POST https://api.x.example/open/v1/ink\npolls: GET https://api.x.example/open/v1/ink/{id}\n"
    )


@pytest.mark.parametrize(
    ("poll", "says"),
    [("GET /open/:user/ink/:id", "names no job"), ("GET https://other.example/{id}", "is a whole address")],
)
def test_a_request_that_is_not_clear_is_asked_about(poll: str, says: str) -> None:
    """Two values in a path, and another host."""
    result = run("new", *options(poll=poll))
    assert result.exit_code == 1
    assert f"--poll: operations.draw.large.poll.path: {says}" in result.output


def test_new_overwrites_nothing() -> None:
    """A file or a folder of samples that is there stays."""
    file = written()
    before = file.read_bytes()
    result = run("new", *options(source="https://other.example"))
    assert (result.exit_code, file.read_bytes()) == (1, before)
    assert "is there already" in result.output


@pytest.mark.parametrize("answers", ["[]", "{", '{"nme": "x"}', '{"name": 7}'])
def test_new_refuses_answers_that_are_none(answers: str) -> None:
    """With what there is."""
    Path("answers.json").write_text(answers, encoding="utf-8")
    result = run("new", "--answers", "answers.json")
    assert result.exit_code == 1
    assert "answers.json: " in result.output


def test_check_lists_all_mistakes_with_lines() -> None:
    """Each on a line of its own, and the end is 1."""
    file = written()
    file.write_text(file.read_text().replace("base_url", "base_ulr").replace('"$.job.state"', '"job.state"'))
    result = run("check", str(file))
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 3
    assert f"{file}:5: provider.base_ulr: is not a known key; did you mean base_url?" in result.output


def sample(name: str, **fields: Any) -> None:
    """Write a sample beside the file."""
    path = Path(f"config/providers/inkwell.samples/{name}.json")
    path.write_text(json.dumps(fields), encoding="utf-8")


def test_check_shows_what_came_in_place_of_what_was_expected() -> None:
    """One sample becomes something else, one has no expectation, one operation lacks a kind."""
    file = written()
    Path("config/providers/inkwell.samples/draw.large--refused.json").unlink()
    answer = {"status": 200, "body": {"job": {"state": "dry", "pictures": []}}}
    sample("draw.large--poll-success", answer=answer, expect={"is": "Failed", "reason": "no ink"})
    sample("draw.large--poll-error", answer={"status": 503, "text": "<html>"})
    result = run("check", str(file))
    assert result.exit_code == 1
    assert "is: expected 'Failed', came 'Succeeded'" in result.output
    assert "PollFailedError: HTTP 503" in result.output
    assert "there is no sample of draw.large: refused" in result.output
    assert (
        "1 of them not as expected; 1 of them expect nothing: give them an `expect`; 3 of them are made up"
        in result.output
    )
    shown = json.loads(run("check", str(file), "--json").output)
    assert [it["sample"] for it in shown["samples"] if it["missed"]] == ["draw.large--poll-success"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("draw.large--nope", "{}"), ("draw.large--submit", "{"), ("draw.large--submit", "{}"), ("other--submit", "")],
)
def test_check_names_a_sample_that_is_none(name: str, text: str) -> None:
    """By its file."""
    file = written()
    answer = {"answer": {"status": 200, "body": {}}}
    Path(f"config/providers/inkwell.samples/{name}.json").write_text(text or json.dumps(answer), encoding="utf-8")
    result = run("check", str(file))
    assert result.exit_code == 1
    assert f"{name}.json: " in result.output


def test_check_without_samples_says_so() -> None:
    """Nothing was played, and the file is right."""
    file = written()
    other = Path("inkwell.toml")
    other.write_bytes(file.read_bytes())
    result = run("check", str(other))
    assert result.exit_code == 0
    assert "no samples were played" in result.output
