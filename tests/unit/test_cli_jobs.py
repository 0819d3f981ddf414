"""Commands on jobs, `bide describe`, and what a shell completes, over a ledger in memory."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from bide.cli import completion, waiting
from bide.cli.describe import describe
from bide.cli.waiting import awaited, progress_of
from bide.client.outputs import PresignedOutput
from bide.client.status import status_of
from bide.contract import JobResult, JobState
from tests.contract.ledger_stage import Stage
from tests.unit.command import Command

PICTURE = b"\x89PNG and so on"
URI = "s3://pictures/2026/11/30/a/0.png"


class Caller:
    """A client over the stage: it submits into it, reads from it, and has results whose objects are files."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage, self._folder = stage, folder
        self.requests: list[dict[str, Any]] = []
        self.waits: list[Callable[[], JobResult]] = []
        self.digest = hashlib.sha256(PICTURE).hexdigest()

    def submit(self, request: dict[str, Any]) -> str:
        self.requests.append(request)
        return f"job-{len(self.requests)}"

    def status(self, job_id: str) -> Any:
        record = self._stage.ledger.jobs.find(job_id)
        return status_of(record, job_id) if record else None

    def wait(self, job_id: str, *, timeout_seconds: float | None) -> JobResult:
        return self.waits.pop(0)()

    def result(self, job_id: str, *, presign_seconds: float) -> Any:
        record = self._stage.ledger.jobs.find(job_id)
        if record is None or record.state is not JobState.SUCCEEDED:
            return None
        file = self._folder / "stored.png"
        file.write_bytes(PICTURE)
        output = PresignedOutput(
            uri=URI, bucket="pictures", key="2026/11/30/a/0.png", content_type="image/png", size=len(PICTURE),
            sha256=self.digest, url=file.as_uri(),
        )  # fmt: skip
        return SimpleNamespace(outputs=(output,))


@pytest.fixture
def caller(stage: Stage, tmp_path: Path) -> Caller:
    """What the commands find in place of a client."""
    return Caller(stage, tmp_path)


@pytest.fixture
def run(stage: Stage, caller: Caller) -> Command:
    """`bide` over that ledger and that client."""
    return Command(stage, caller)


def succeed(stage: Stage, job_id: str = "a") -> JobResult:
    """A job that has ended well, with one object."""
    record, token = stage.storing(job_id)
    result = JobResult(
        job_id=job_id, provider="photogpt", operation="images.generation", polls=1, finished_at=datetime.now(UTC),
        outputs=[{"uri": URI, "bucket": "pictures", "key": "k", "content_type": "image/png", "size": 1, "sha256": ""}],
    )  # fmt: skip
    assert stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result=result.model_dump_json())
    return result


# submit, status, wait


def test_submit_takes_a_request_from_a_file(run: Command, caller: Caller) -> None:
    """The options win; `--json` means here what it means everywhere: print JSON."""
    given = {"provider": "photogpt", "operation": "images.generation", "params": {"prompt": "a fox", "modelID": "m"}}
    result = run(
        "submit", "--request", "-", "-p", "prompt=a dog", "--callback-url", "https://a.example/b", "--json",
        typed=json.dumps(given),
    )  # fmt: skip
    assert json.loads(result.stdout) == {"job_id": "job-1"}
    [request] = caller.requests
    assert request["params"] == {"prompt": "a dog", "modelID": "m"}
    assert request["callback_url"] == "https://a.example/b"


def test_a_file_in_the_providers_place_is_a_usage_error(run: Command, tmp_path: Path) -> None:
    """As after `--json FILE`, which was the request's option."""
    (file := tmp_path / "request.json").write_text("{}")
    result = run("submit", "--json", str(file))
    assert result.exit_code == 2
    assert f"give a request as --request {file}" in result.stderr


def test_submit_and_wait_print_the_result(run: Command, caller: Caller, stage: Stage) -> None:
    """As an address, or the whole of it as JSON."""
    done = succeed(stage)
    caller.waits = [lambda: done, lambda: done]
    options = ("submit", "photogpt", "images.generation", "--wait")
    assert run(*options).stdout.splitlines() == ["job-1", URI]
    assert json.loads(run(*options, "--json").stdout)["outputs"][0]["uri"] == URI


def test_status_shows_prompt_and_objects(run: Command, stage: Stage) -> None:
    """What was asked for, and where it lies."""
    succeed(stage)
    shown = dict(line.split(maxsplit=1) for line in run("status", "a").stdout.splitlines() if " UTC" not in line)
    assert shown["what"] == "photogpt images.generation: a red fox"
    assert shown["object"] == URI
    assert json.loads(run("status", "a", "--json").stdout)["outputs"] == [URI]


def test_the_line_tells_state_next_poll_and_answer(stage: Stage) -> None:
    """Also for a job in line, and for one that no worker has seen."""
    assert progress_of(stage.ledger, "a") == "no worker has opened the job yet"
    stage.open("b")
    assert progress_of(stage.ledger, "b").startswith("0 s  queued  ")
    stage.running("a", first_poll_seconds=9)
    stage.clock.advance(4)
    assert progress_of(stage.ledger, "a") == "4 s  running  polled again in 5 s"


def test_a_terminal_sees_the_line_and_then_the_result(
    stage: Stage, caller: Caller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is drawn over and over, and gone at the end; a time-out is the caller's own."""
    stage.running("a", first_poll_seconds=9)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    done = succeed(stage, "b")

    def not_yet() -> JobResult:
        raise TimeoutError

    caller.waits = [not_yet, not_yet, lambda: done]
    client: Any = caller
    assert awaited(client, stage.ledger, "a") == done
    drawn = capsys.readouterr().err
    assert drawn.count("running  polled again in 9 s") == 3
    assert drawn.endswith("\x1b[2K")

    caller.waits = [not_yet]
    with pytest.raises(TimeoutError, match="job a has not ended within 0 s; it goes on"):
        awaited(client, stage.ledger, "a", timeout_seconds=0)


def test_ctrl_c_says_that_the_job_goes_on(run: Command, caller: Caller, stage: Stage) -> None:
    """And how to find it again."""

    def interrupt() -> JobResult:
        raise KeyboardInterrupt

    stage.running("a")
    caller.waits = [interrupt]
    result = run("wait", "a")
    assert result.exit_code == waiting.INTERRUPTED
    assert result.stderr == (
        "job a goes on: `bide wait a` waits again, `bide explain a` tells where it stands\n"
    )  # fmt: skip


# jobs


def test_jobs_show_prompt_and_address(run: Command, stage: Stage) -> None:
    """The beginning of the one, the whole of the other."""
    succeed(stage)
    [line] = run("jobs", "--state", "succeeded").stdout.splitlines()
    assert line.endswith(f"a red fox  {URI}")
    [job] = json.loads(run("jobs", "--state", "all", "--json").stdout)["jobs"]
    assert (job["what"], job["outputs"]) == ("photogpt images.generation: a red fox", [URI])


def test_jobs_watch_shows_them_again(run: Command, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until Ctrl-C; with --json it makes no sense."""
    stage.running("a")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    result = run("jobs", "--watch")
    assert result.stdout.count("running") == 3
    assert run("jobs", "--watch", "--json").exit_code == 2


# open, get


def test_open_prints_and_opens_each_address(
    run: Command, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or prints it alone."""
    succeed(stage)
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    address = (tmp_path / "stored.png").as_uri()
    assert run("open", "a", "--print").stdout == f"{address}\n"
    assert opened == []
    assert run("open", "a").stdout == f"{address}\n"
    assert opened == [address]


def test_get_downloads_what_was_stored(run: Command, stage: Stage, tmp_path: Path) -> None:
    """Whole, and never over a file that is there."""
    succeed(stage)
    folder = tmp_path / "here"
    assert run("get", "a", "-o", str(folder)).stdout == f"{folder / '0.png'}\n"
    assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [("0.png", PICTURE)]
    again = run("get", "a", "-o", str(folder))
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)


def test_get_refuses_another_picture(run: Command, stage: Stage, caller: Caller, tmp_path: Path) -> None:
    """An object that was replaced in the store is not what was paid for."""
    succeed(stage)
    caller.digest = hashlib.sha256(b"another").hexdigest()
    result = run("get", "a", "-o", str(tmp_path / "here"))
    assert (result.exit_code, "is not what was stored" in result.stderr) == (1, True)
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("command", ["open", "get"])
def test_a_job_without_objects_has_none_to_open(run: Command, stage: Stage, command: str) -> None:
    """One that goes on says so; one that nobody knows says that."""
    stage.running("a")
    assert "job a is running: it has no objects yet; `bide wait a`" in run(command, "a").stderr
    assert "nothing is known of a job 'x'" in run(command, "x").stderr


# describe, completion


def test_describe_tells_type_default_and_meaning(run: Command) -> None:
    """Of one operation or of all; an unknown one names those that there are."""
    lines = run("describe", "photogpt", "images.generation").stdout.splitlines()
    assert lines[1].split(maxsplit=3) == [
        "modelID", "string", "required", "The model; `bide catalog photogpt models` lists them.",
    ]  # fmt: skip
    assert "  source: https://platform.photogptai.com/docs/jobs" in lines
    described = json.loads(run("describe", "dreambooth", "--json").stdout)
    assert {each["operation"] for each in described} == {"text2img", "img2img"}
    unknown = run("describe", "photogpt", "images")
    assert (unknown.exit_code, "photogpt has no operation 'images'; there are images.gen" in unknown.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize("provider", ["cyberphotobooth", "dreambooth", "nextry", "photogpt"])
def test_every_field_has_a_type(run: Command, provider: str) -> None:
    """None is shown as `any` that has one."""
    for operation in json.loads(run("describe", provider, "--json").stdout):
        assert [param["name"] for param in operation["params"] if param["type"] == "any"] == []


def test_a_shell_completes_providers_and_operations() -> None:
    """The operations are those of the provider that stands before."""
    context, param = click.Context(describe), click.Argument(["x"])
    assert [item.value for item in completion.complete_provider(context, param, "p")] == ["photogpt"]
    context.params["provider"] = "photogpt"
    found = completion.complete_operation(context, param, "images.")
    assert [item.value for item in found] == ["images.generation", "images.upscaling"]


def test_a_shell_completes_jobs(stage: Stage, run: Command) -> None:
    """With the state beside each; nothing where the ledger does not answer."""
    stage.running("abc")
    stage.open("xyz")
    context = click.Context(describe, obj=run.connections)
    with context:
        found = completion.complete_job(context, click.Argument(["x"]), "a")
    assert [(item.value, item.help) for item in found] == [("abc", "running images.generation")]
    with click.Context(describe) as alone:
        alone.params["broker"] = "redis://127.0.0.1:1/0"
        assert completion.complete_job(alone, click.Argument(["x"]), "") == []
        assert completion.complete_run(alone, click.Argument(["x"]), "") == []
