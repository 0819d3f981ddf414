"""The output of any model: its files wherever they stand, else its text, else all of it; and pictures in its input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.bulk.sheet.rows import _prompt as prompt_on_a_sheet
from bide.describe import describe_raw, prompt_of
from bide.errors import UnreadableAnswerError
from bide.providers.any_model import input_of, output_of
from bide.providers.base import Submission, Succeeded, Upload

A, B = "https://files.example/a.png", "https://files.example/b.mp4?sig=1"


def urls(outcome: Succeeded) -> list[tuple[str, str]]:
    """Role and address of each output."""
    return [(media.role, media.url) for media in outcome.outputs]


def texts(outcome: Succeeded) -> list[str]:
    """The texts among the outputs."""
    return [media.content.decode() for media in outcome.outputs]


@pytest.mark.parametrize(
    "output",
    [
        [A, B],
        {"images": [{"url": A}], "video": {"url": B}},
        [[A], [[B]]],
        {"x": {"y": {"z": [A, {"deep": B}]}}},
        {"caption": "a fox", "first": A, "n": 7, "second": B, "flags": [True, None]},
        {"image": {"url": A, "content_type": "image/png"}, "again": [A, B]},
    ],
)
def test_files_are_found_wherever_they_stand(output: Any) -> None:
    """In their order, each once; what stands beside them is not kept."""
    outcome = output_of(output)
    assert urls(outcome) == [("image", A), ("video", B)]
    assert not outcome.partial


@pytest.mark.parametrize(
    ("file", "role"),
    [
        ({"url": "https://f.example/0", "content_type": "audio/mpeg"}, "audio"),
        ({"url": "https://f.example/0.GLB", "content_type": "application/octet-stream"}, "model"),
        ({"url": "https://f.example/0.safetensors"}, "weights"),
        ("https://f.example/0.tar?x=.png", "archive"),
        ("https://f.example/0.txt", "text"),
        ("https://f.example/0", "file"),
        ({"url": A, "content_type": 7}, "image"),
    ],
)
def test_a_file_is_named_by_its_type_or_its_name(file: Any, role: str) -> None:
    """The bytes decide later what it is stored as."""
    assert [media.role for media in output_of(file).outputs] == [role]


@pytest.mark.parametrize(
    ("output", "partial"),
    [
        ([A, None], "1 of 2 outputs"),
        ({"images": [{"url": A}, {"url": None}, {"url": ""}]}, "2 of 3 outputs"),
        ({"image": A, "mask": None}, ""),
    ],
)
def test_an_output_that_is_missing_among_others_is_counted(output: Any, partial: str) -> None:
    """A field that a model leaves out is none."""
    assert output_of(output).partial == partial


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("a fox", ["a fox"]),
        (["a ", "red ", "fox"], ["a red fox"]),
        ({"output": "a fox", "error": None, "partial": False}, ["a fox"]),
        ("see https://files.example/a.png for more", ["see https://files.example/a.png for more"]),
        ("https://", ["https://"]),
        (["no", "https://"], ["nohttps://"]),
    ],
)
def test_a_text_is_an_output_where_there_is_no_file(output: Any, text: list[str]) -> None:
    """Whole, in parts, or in the field that models use; an address in a sentence, or a broken one, is text."""
    assert texts(output_of(output)) == text


@pytest.mark.parametrize("output", [{"labels": {"fox": 0.9}}, 7, False, [1, 2], [{"a": "b"}], {"output": {"a": "b"}}])
def test_any_other_output_is_kept_whole(output: Any) -> None:
    """It was paid for."""
    [text] = texts(output_of(output))
    assert json.loads(text) == output


def test_what_stands_beside_a_text_comes_with_the_whole() -> None:
    """Such as the times of its words."""
    output = {"text": "a fox", "chunks": [{"text": "a", "timestamp": [0, 0.5]}]}
    text, whole = texts(output_of(output))
    assert (text, json.loads(whole)) == ("a fox", output)


@pytest.mark.parametrize(
    "output",
    [
        None,
        "",
        " \n",
        [],
        {},
        ["", ""],
        {"images": []},
        {"images": [], "seed": 7, "prompt": "a"},
        {"video": None, "seed": 1},
    ],
)
def test_an_empty_output_is_empty(output: Any) -> None:
    """No text is made of what a model for pictures says beside none; bide looks again."""
    assert output_of(output).outputs == ()


@pytest.mark.parametrize("output", [{"url": "data:image/png;base64,!"}, ["data:image/png;base64,a"]])
def test_a_spoilt_file_is_no_output(output: Any) -> None:
    """It is asked for again."""
    with pytest.raises(UnreadableAnswerError):
        output_of(output)


def test_nesting_ends_nothing() -> None:
    """However deep the walk."""
    deep: Any = A
    for _ in range(5000):
        deep = [deep]
    assert urls(output_of(deep)) == [("image", A)]


def test_pictures_go_into_the_input() -> None:
    """Under their names, or as a list by their numbers; the caller's params stay as they are."""
    given = {"images": ["https://o/0"], "mask": "theirs", "odd": {"a": 1}}
    uploads = {
        name: Upload(name, url=f"https://o/{name}") for name in ("mask", "images.2", "images.1", "odd.0", "v1.png")
    }
    submission = Submission("j", "run", {"input": given}, uploads)
    assert input_of(submission) == {
        "images": ["https://o/0", "https://o/images.1", "https://o/images.2"],
        "mask": "https://o/mask",
        "odd": ["https://o/odd.0"],
        "v1.png": "https://o/v1.png",
    }
    assert given == {"images": ["https://o/0"], "mask": "theirs", "odd": {"a": 1}}


def test_the_prompt_of_an_input_is_shown() -> None:
    """To operators, on a contact sheet, and beside candidates; one at the top goes first."""
    params = {"model": "a/b", "input": {"prompt": "a red\nfox", "seed": 7}}
    assert prompt_of(params) == prompt_on_a_sheet(params) == "a red fox"
    assert describe_raw("fal", "run", params) == "fal run: a red fox"
    assert prompt_of({"input": "a text", "params": {"Prompt": "a fox"}}) == "a fox"
    assert prompt_of({**params, "prompt": "a hare"}) == "a hare"
