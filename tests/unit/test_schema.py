"""The published schemas: fresh, and of one mind with the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bide.contract import Failure, FailureCode
from bide.providers import installed
from bide.schema import documents, write
from tests.integration.caller import image

FOLDER = Path(__file__).parents[2] / "docs" / "schema"


def validator(name: str) -> Draft202012Validator:
    """A validator by one of the published files."""
    schema = json.loads((FOLDER / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_published_schemas_are_fresh() -> None:
    """`python -m bide.schema docs/schema` has been run since the models changed."""
    published = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*.json")}
    assert published == documents()


def test_every_operation_has_one() -> None:
    """Of each provider, under the names of the wire."""
    names = {f"params/{name}.{each}.json" for name, adapter in installed().items() for each in adapter.operations}
    assert {name for name in documents() if name.startswith("params/")} == names


def test_writing_removes_what_is_no_more(tmp_path: Path) -> None:
    """A schema of an operation that went away goes, too; other files stay."""
    for name in ("gone.json", "README.md"):
        (tmp_path / name).write_text("{}")
    write(tmp_path)
    assert not (tmp_path / "gone.json").exists()
    assert (tmp_path / "README.md").exists()


@pytest.mark.parametrize(
    "request_",
    [
        image(),
        image(inputs={"a": "https://example.com/a.png"}, deadline_seconds=900, callback_url="https://example.com/"),
        image(output_prefix="tenant-a/runs"),
        image(output_prefix=None),
        {"provider": "photogpt", "operation": "models.train", "params": {"modelID": "m"}},
        {"provider": "elsewhere", "operation": "draw", "params": {"anything": [1, None]}},
    ],
)
def test_good_requests_pass(request_: dict[str, Any]) -> None:
    """Those of the tests, and those of providers that come by plug-in."""
    assert list(validator("request.json").iter_errors(request_)) == []


@pytest.mark.parametrize(
    "request_",
    [
        {"provider": "photogpt"},
        image(deadline_second=5),
        image(params={"modelID": ""}),
        image(params={"numImages": "1"}),
        image(callback_url="ftp://example.com/"),
        image(output_prefix="runs/nightly"),
        image(output_prefix="uploads"),
        image(output_prefix="2026/11/30/other-job/job.json"),
        {"provider": "photogpt", "operation": "models.train", "params": {"modelID": "m", "steps": 5}},
        {"provider": "nextry", "operation": "generate_image"},
    ],
)
def test_wrong_requests_do_not(request_: dict[str, Any]) -> None:
    """Misspelt fields, wrong types, and what is missing of the params of that very operation."""
    assert list(validator("request.json").iter_errors(request_))


def test_failures_pass_and_may_grow() -> None:
    """Every code is known, and a field that is added one day breaks no reader."""
    for code in FailureCode:
        document = json.loads(Failure(code=code, message="m", job_id="a").model_dump_json())
        assert list(validator("failure.json").iter_errors({**document, "added": 1})) == []
    assert list(validator("failure.json").iter_errors({"code": "unheard_of", "message": "m", "job_id": "a"}))
