"""`retention_days`: what holds for a request, what is refused, and the tags of the objects that a job leaves."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner

from bide.cli.main import main
from bide.client.requests import checked
from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError, StorageError
from bide.retention import TAG, UNTAGGED, Retention
from bide.settings.problems import ConfigurationProblems
from config.settings import load
from tasks.steps.outcome import Answer
from tasks.steps.store import store
from tests.contract.ledger_stage import ACCOUNT, Stage, request_of
from tests.contract.media_fetch import PNG
from tests.unit.store_hands import SETTINGS, Hands
from workers.accounts import Accounts
from workers.io.inputs import InputFetcher

RULES = Retention(90, {"photogpt/models.train": 30, "photogpt/*": 7}, (1, 14))


class TaggedStorage:
    """Notes the tags of what is put; one that `refuses` takes no tags."""

    def __init__(self, inner: Any, *, refuses: bool = False) -> None:
        self._inner, self._refuses = inner, refuses
        self.tags: dict[str, dict[str, str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def put(self, key: str, content: bytes | IO[bytes], *, tags: Mapping[str, str] | None = None, **more: Any) -> None:
        if tags and self._refuses:
            raise StorageError("NotImplemented", permanent=True)
        self.tags[key] = dict(tags or {})
        self._inner.put(key, content, **more)


def stored(*, refuses: bool = False, settings: Mapping[str, str] | None = None, **changes: Any) -> tuple[Any, Answer]:
    """The store after a job of one output, and its answer."""
    stage = Stage.in_memory()
    record, token, attempt = stage.submitting("a", **changes)
    outputs = '[["image","https://example.com/0.png"]]'
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs=outputs)
    step = stage.resume("a", token="s")
    tools: Any = Hands(stage)
    tools.accounts = Accounts(load({**SETTINGS, **(settings or {})}, env_file=None))
    tools.storage = TaggedStorage(tools.storage, refuses=refuses)
    outcome = store(tools, step.record or record, "s", now=stage.clock.now)
    assert isinstance(outcome, Answer)
    return tools.storage, outcome


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({"retention_days": 14}, 14),
        ({}, 7),
        ({"operation": "models.train"}, 30),
        ({"provider": "fal", "operation": "run"}, 90),
        ({"provider": "fal", "operation": "run", "retention_days": 1}, 1),
    ],
)
def test_request_goes_before_operation_before_deployment(changes: dict[str, Any], days: int) -> None:
    """The most special one holds, be it longer or shorter."""
    assert RULES.days_of(request_of().model_copy(update=changes)) == days
    assert Retention().days_of(request_of()) is None


def test_days_without_a_rule_are_refused_before_anything_is_bought() -> None:
    """The error names the days that there are, and what to do."""
    assert RULES.all_days == (1, 7, 14, 30, 90)
    for days in RULES.all_days:
        RULES.check(request_of(retention_days=days))
    with pytest.raises(InvalidRequestError, match=r"15 is none of .*1, 7, 14, 30, 90.*BIDE_RETENTION__CHOICES"):
        RULES.check(request_of(retention_days=15))
    settings = {**SETTINGS, "BIDE_RETENTION__CHOICES": "[14, 7]"}
    account = Accounts(load(settings, env_file=None)).get(ACCOUNT)
    account.check(request_of(retention_days=7))
    with pytest.raises(InvalidRequestError, match="retention_days"):
        account.check(request_of(retention_days=30))


@pytest.mark.parametrize("days", [0, -1, 3651, 1.5, "7", True])
def test_what_is_no_number_of_days_is_refused(days: Any) -> None:
    """By the contract, in the client already."""
    with pytest.raises(InvalidRequestError, match="retention_days"):
        GenerateRequest.parse({"provider": "photogpt", "operation": "images.generation", "retention_days": days})


def test_a_request_without_it_is_written_as_before() -> None:
    """Earlier workers would refuse the field."""
    assert "retention_days" not in request_of().to_json()
    assert "retention_days" not in request_of().model_dump()
    assert request_of(retention_days=7).fingerprint() != request_of().fingerprint()


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"CHOICES": "7,x"}, "CHOICES"),
        ({"CHOICES": "0"}, "CHOICES"),
        ({"DAYS": "0"}, "DAYS"),
        ({"OPERATIONS": "[1]"}, "OPERATIONS"),
        ({"OPERATIONS": '{"photogpt": 7}'}, "OPERATIONS"),
        ({"OPERATIONS": '{"photogpt/*": true}'}, "OPERATIONS"),
        ({"OPERATIONS": '{"photogpt/*": 7, "photogpt/*": 8}'}, "OPERATIONS"),
        ({"OPERATIONS": '{"photogpt/train": 7}'}, "OPERATIONS"),
        ({"OPERATIONS": '{"fotogpt/*": 7}'}, "OPERATIONS"),
    ],
)
def test_wrong_settings_name_their_variable(settings: dict[str, str], wrong: str) -> None:
    """At the start, with all others."""
    named = {f"BIDE_RETENTION__{name}": value for name, value in settings.items()}
    with pytest.raises(ConfigurationProblems) as problems:
        load({**SETTINGS, **named}, env_file=None)
    assert [each.variable for each in problems.value.problems] == [f"BIDE_RETENTION__{wrong}"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OPERATIONS", '{"photogpt/models.tarin": 7}', "photogpt has no such operation; did you mean models.train?"),
        ("OPERATIONS", '{"photogpt/x": 7}', "photogpt has no such operation; there are images.generation, "),
        ("OPERATIONS", '{"fotogpt/*": 7}', "fotogpt is no provider that there is here; did you mean photogpt?"),
        ("DAYS", "0", "must be greater than or equal to 1; set it to the time objects stay"),
        ("DAYS", "soon", "must be a valid integer"),
        ("CHOICES", "7,x", "is no list of numbers; set it to the days that requests may ask for"),
    ],
)
def test_start_and_command_name_the_mistake_alike(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Days of an operation that there is not would hold for no job: what was to go stayed for ever."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationProblems) as problems:
        load({**SETTINGS, f"BIDE_RETENTION__{name}": value}, env_file=None)
    assert says in str(problems.value)
    environment = {"BIDE_S3__BUCKET": "bide", f"BIDE_RETENTION__{name}": value}
    result = CliRunner().invoke(main, ["storage", "lifecycle", "--apply"], env=environment)
    assert (result.exit_code, says in result.stderr) == (1, True), result.stderr


def test_a_misspelt_variable_is_refused_by_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The rules that it asks for would be missing."""
    monkeypatch.chdir(tmp_path)
    environment = {"BIDE_S3__BUCKET": "bide", "BIDE_RETENTION__CHOICE": "7"}
    result = CliRunner().invoke(main, ["storage", "lifecycle"], env=environment)
    assert result.exit_code == 1
    assert "BIDE_RETENTION__CHOICE: there is no such variable; there are BIDE_RETENTION__DAYS" in result.stderr


def test_each_object_of_a_job_has_the_tag() -> None:
    """Its output and its job.json; without retention none has."""
    storage, answer = stored(retention_days=30)
    assert sorted(key.rpartition("/")[2] for key in storage.tags) == ["0.png", "job.json"]
    assert set(map(str, storage.tags.values())) == {str({TAG: "30"})}
    assert "warnings" not in answer.result
    assert set(map(str, stored()[0].tags.values())) == {"{}"}
    of_deployment, _ = stored(settings={"BIDE_RETENTION__OPERATIONS": '{"photogpt/*": 7}'})
    assert set(map(str, of_deployment.tags.values())) == {str({TAG: "7"})}


def test_a_paid_result_is_stored_where_tags_are_refused() -> None:
    """And says so, in its job.json, too."""
    storage, answer = stored(refuses=True, retention_days=30)
    assert answer.result["warnings"] == [UNTAGGED]
    [document] = [key for key in storage.tags if key.endswith("job.json")]
    assert UNTAGGED in storage.client.objects[document].decode()


def test_inputs_that_bide_stores_have_the_tag() -> None:
    """They belong to the job."""
    inner = Hands(Stage.in_memory()).storage
    storage: Any = TaggedStorage(inner)
    fetcher = InputFetcher(
        Hands(Stage.in_memory()).http,  # type: ignore[arg-type]  # not asked
        storage,
        max_bytes=10**6,
        url_expires_seconds=60,
        retention_days=14,
    )
    asyncio.run(fetcher._store(base64.b64encode(PNG).decode(), lambda name: f"inputs/{name}"))
    assert list(storage.tags.values()) == [{TAG: "14"}]


def test_an_upload_of_a_client_has_a_key_for_its_days() -> None:
    """No other request shortens or lengthens its time; without days the key is the one that it was."""
    storage: Any = TaggedStorage(Hands(Stage.in_memory()).storage)
    request = {"provider": "photogpt", "operation": "images.upscaling", "params": {}}
    content = b"x" * 40_000
    keys = []
    for days in (None, 7, 14):
        options: Any = {"inputs": {"image": content}, **({"retention_days": days} if days else {})}
        with suppress(InvalidRequestError):  # what is no picture: that is seen later
            checked(request, options, storage)
        keys.append(next(reversed(storage.tags)))
    assert [key.rpartition("/")[0] for key in keys] == ["uploads", "uploads/7-days", "uploads/14-days"]
    assert [storage.tags[key] for key in keys] == [{}, {TAG: "7"}, {TAG: "14"}]
