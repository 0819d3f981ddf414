"""Which job on a provider's list a request may have become, by what each adapter reads of recorded lists."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bide.providers import find, installed
from bide.providers.base import Account, Answer, Asked, Listed
from bide.providers.listing import agrees, is_alike

MOMENT = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
ACCOUNT = Account("https://provider.example/v1", "planted-key-0123456789")
LISTS = Path(__file__).parent / "samples" / "lists"
HEX = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"


def asked(operation: str, params: dict[str, Any], *inputs: str) -> Asked:
    """A request that was under way at that time."""
    minute = timedelta(minutes=1)
    return Asked(operation, params, frozenset(inputs), MOMENT - minute, MOMENT + minute)


def listed(provider: str) -> list[Listed]:
    """The jobs of the provider's recorded list."""
    body = (LISTS / f"{provider}.json").read_bytes()
    return list(find(provider).list_outcome(Answer(200, {"content-type": "application/json"}, body), ACCOUNT).jobs)


def fitting(provider: str, request: Asked) -> list[str]:
    """The ids of those that the request may have become."""
    adapter = find(provider)
    jobs = listed(provider)
    return [job.provider_job_id for job in jobs if request.in_time(job) and adapter.may_be(job, request)]


def test_each_provider_with_a_list_has_a_recorded_one() -> None:
    """So that what its list tells is known."""
    with_lists = {name for name in installed() if find(name).listed_operations}
    assert {path.stem for path in LISTS.glob("*.json")} == with_lists


def test_photogpt_tells_only_when() -> None:
    """Its list has neither prompts nor models: what was made in the window may be ours."""
    request = asked("images.generation", {"modelID": "m1", "prompt": "a red fox", "numImages": 1})
    assert fitting("photogpt", request) == ["b7f9-3", "b7f9-2"]


@pytest.mark.parametrize(("tool", "ids"), [("fashion_swap", ["65f1c2"]), ("fabric", ["65f1c1"]), ("furniture", [])])
def test_nextry_tells_the_tool(tool: str, ids: list[str]) -> None:
    """And the time."""
    assert fitting("nextry", asked("generate_image", {"tool": tool, "prompt": "linen"})) == ids


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"model": "o/flux", "input": {"prompt": "a red fox", "seed": 7}}, ["rp1"]),
        ({"model": "o/flux", "input": {"prompt": "a red fox", "seed": 8}}, []),
        ({"model": "o/flux", "input": {"prompt": "a red fox"}}, []),
        ({"model": "o/flux", "input": {"prompt": "a red fox", "seed": 7, "steps": 4}}, []),
        ({"model": "o/flux", "input": {"prompt": "a blue fox", "seed": 7}}, []),
        ({"model": "o/other", "input": {"prompt": "a red fox", "seed": 7}}, []),
        ({"version": HEX, "input": {"prompt": "a red fox"}}, ["rp2"]),
        ({"version": f"o/n:{HEX}", "input": {"prompt": "a red fox"}}, ["rp2"]),
        ({"version": "a" * 64, "input": {"prompt": "a red fox"}}, []),
        ({"version": "o/flux", "input": {"prompt": "a red fox", "seed": 7}}, ["rp1"]),
        ({"deployment": "o/d", "input": {"prompt": "a red fox", "seed": 7}}, ["rp1"]),
    ],
)
def test_replicate_tells_model_version_and_input(params: dict[str, Any], ids: list[str]) -> None:
    """An equal input of another model, or another input of the same one, is another job."""
    assert fitting("replicate", asked("predict", params)) == ids


def test_pictures_are_shown_in_other_forms_than_they_came_in() -> None:
    """What bide put into the input as an address, and a data URI, rule nothing out."""
    params = {"model": "o/edit", "input": {"prompt": "brighter", "mask": "data:image/png;base64,AA"}}
    assert fitting("replicate", asked("predict", params, "image")) == ["rp3"]
    assert fitting("replicate", asked("predict", params)) == []


def test_what_a_list_says_and_a_request_does_not_is_another_job() -> None:
    """A prompt where none was sent; another prompt; the same with other blanks."""
    job = Listed("1", "done", MOMENT, prompt="a red fox")
    assert agrees(job, asked("x", {"prompt": "a  red\nfox"}))
    assert agrees(job, asked("x", {"params": {"Prompt": "a red fox"}}))
    assert not agrees(job, asked("x", {"prompt": "a red foxes"}))
    assert not agrees(job, asked("x", {}))


def test_long_prompts_are_compared_whole() -> None:
    """Two that begin alike are two."""
    begin = "a fox " * 300
    body = {"status": "OK", "result": {"jobs": [{"jobId": "1", "prompt": f"{begin} in snow"}]}}
    [job] = find("photogpt").list_outcome(Answer(200, {}, json.dumps(body).encode()), ACCOUNT).jobs
    assert agrees(job, asked("images.generation", {"prompt": f"{begin}in snow"}))
    assert not agrees(job, asked("images.generation", {"prompt": f"{begin}in rain"}))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("4", 4, True), ("true", True, True), (1.0, 1, True), ("4", 5, False), ({"a": 1}, "a", False), (None, "", False)],
)
def test_a_form_has_numbers_and_switches_as_texts(one: object, other: object, alike: bool) -> None:
    """What was sent as a form comes back as text."""
    assert is_alike(one, other) is alike
