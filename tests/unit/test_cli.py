"""The `bide` command, as far as it goes without a server."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bide.cli.advice import ADVICE, explain
from bide.cli.connection import client_environment, stack_environment
from bide.cli.main import SECTIONS, main
from bide.contract import Failure, FailureCode
from bide.errors import InvalidRequestError, JobFailed
from bide.settings.reader import env_file
from config.settings import load


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in an empty folder, with no variable of bide in its environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("BIDE_", "AWS_"))]:
        monkeypatch.delenv(name)
    return tmp_path


def run(*arguments: str, typed: str | None = None) -> Result:
    """`bide` with these arguments, `typed` on its standard input."""
    return CliRunner().invoke(main, arguments, input=typed)


def running_stack(folder: Path, name: str, pid: int, **environment: str) -> None:
    """The file of a stack that process `pid` runs."""
    file = folder / ".bide" / name / "stack.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"pid": pid, "environment": environment}))


def test_help_lists_every_command_in_its_section() -> None:
    """A newcomer finds what to try first, and nothing is left out."""
    shown = run("--help").output
    assert shown.index("Try it:") < shown.index("Jobs:") < shown.index("Providers:")
    for command in (command for commands in SECTIONS.values() for command in commands):
        assert f"  {command.name} " in shown


@pytest.mark.parametrize("command", ["status", "wait", "cancel"])
def test_without_a_broker_a_command_says_what_to_set(command: str) -> None:
    """Nothing is guessed where no broker is named and no stack runs."""
    result = run(command, "job-1")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no broker is known: set BIDE_BROKER_URL")
    assert result.stderr.count("\n") == 1


def test_a_broker_that_is_away_is_one_readable_line_without_its_password() -> None:
    """No traceback, no secret, and no minute of waiting."""
    result = run("status", "job-1", "--broker", "redis://user:hunter2@127.0.0.1:1/0")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the broker at 127.0.0.1:1/0 does not answer: ")
    assert result.stderr.rstrip().endswith("connecting to 127.0.0.1:1. Connection refused")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_a_misspelt_address_is_named() -> None:
    """A misspelt scheme is no traceback."""
    result = run("status", "job-1", "--broker", "radish://127.0.0.1")
    assert (result.exit_code, "can't be read" in result.stderr) == (1, True)


def test_the_option_goes_before_the_environment_and_that_before_env_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option wins over the environment, the environment over `.env`."""
    (empty_folder / ".env").write_text("BIDE_BROKER_URL=redis://from-file/0\nBIDE_S3__BUCKET=from-file\n")
    assert client_environment(None)["BIDE_BROKER_URL"] == "redis://from-file/0"
    monkeypatch.setenv("BIDE_BROKER_URL", "redis://from-environment/0")
    assert client_environment(None)["BIDE_BROKER_URL"] == "redis://from-environment/0"
    assert client_environment(None)["BIDE_S3__BUCKET"] == "from-file"
    assert client_environment("redis://from-option/0")["BIDE_BROKER_URL"] == "redis://from-option/0"


def test_a_secret_file_is_read(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every secret may lie in a file, the broker's address too."""
    (empty_folder / "url").write_text("redis://secret/0\n")
    monkeypatch.setenv("BIDE_BROKER_URL_FILE", str(empty_folder / "url"))
    assert client_environment(None)["BIDE_BROKER_URL"] == "redis://secret/0"


def test_the_command_reads_the_environment_as_the_workers_do(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret's file in the environment wins over `.env`; `DOTENV` names another `.env`; names may be small."""
    (empty_folder / "url").write_text("redis://secret/0\n")
    (empty_folder / "env").write_text("BIDE_BROKER_URL=redis://written/0\nbide_s3__bucket=written\n")
    monkeypatch.setenv("DOTENV", str(empty_folder / "env"))
    monkeypatch.setenv("BIDE_BROKER_URL_FILE", str(empty_folder / "url"))
    workers = load(env_file=env_file())
    assert client_environment(None)["BIDE_BROKER_URL"] == workers.broker_url == "redis://secret/0"
    assert client_environment(None)["BIDE_S3__BUCKET"] == workers.s3.bucket == "written"


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error names the variable, and not the path."""
    monkeypatch.setenv("BIDE_BROKER_URL_FILE", "/nowhere")
    result = run("status", "job-1")
    message = "Error: BIDE_BROKER_URL_FILE: names a file that is empty or can't be read\n"
    assert (result.exit_code, result.stderr) == (1, message)


def test_a_running_stack_is_found_and_a_dead_one_is_not(empty_folder: Path) -> None:
    """What a killed stack left behind does not mislead."""
    running_stack(empty_folder, "up", 2**22 + 1, BIDE_BROKER_URL="redis://dead/0")
    assert stack_environment() == {}
    running_stack(empty_folder, "demo", os.getpid(), BIDE_BROKER_URL="redis://alive/0")
    assert client_environment(None)["BIDE_BROKER_URL"] == "redis://alive/0"


def test_a_named_broker_is_never_mixed_with_a_running_stack(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo's store must not get the pictures of a real deployment."""
    running_stack(empty_folder, "demo", os.getpid(), BIDE_BROKER_URL="redis://demo/0", BIDE_S3__BUCKET="demo")
    monkeypatch.setenv("BIDE_BROKER_URL", "redis://real/0")
    assert "BIDE_S3__BUCKET" not in client_environment(None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["submit"], "PROVIDER is missing"),
        (["submit", "photogpt"], "OPERATION is missing"),
        (["submit", "photogpt", "images.generation", "-p", "prompt"], "is not of the form key=value"),
        (["submit", "nextry", "generate_image", "-i", "person=nowhere.png"], "there is no file nowhere.png"),
        (["submit", "--request", "-"], "--request: not JSON"),
        (["submit", "a", "b", "--on-unknown", "hope"], "'hope' is not one of"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str], complaint: str) -> None:
    """Exit code 2, and what is wrong, before anything is connected to."""
    result = run(*arguments, typed="{")
    assert (result.exit_code, complaint in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize("command", [["demo"], ["up"], ["catalog", "nextry"]])
def test_outside_of_a_deployment_its_programs_are_refused(command: list[str], empty_folder: Path) -> None:
    """The package alone can submit, but not serve."""
    result = run(*command)
    assert result.exit_code == 1
    assert f"{empty_folder} holds no bide deployment" in result.stderr


def test_providers_tells_what_is_missing_and_what_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable to set is named in full; accounts are listed, their keys are not."""
    monkeypatch.setenv("BIDE_PROVIDERS__PHOTOGPT__API_KEY", "key-1234")
    monkeypatch.setenv("BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__SECOND__API_KEY", "key-5678")
    result = run("providers")
    assert "photogpt  (set up, accounts: default, second)" in result.output
    assert "BIDE_PROVIDERS__NEXTRY__API_KEY, BIDE_PROVIDERS__NEXTRY__BASE_URL" in result.output
    assert "key-" not in result.output


def test_providers_as_json_holds_every_operation() -> None:
    """The plan of each operation can be read by programs."""
    described = {entry["provider"]: entry for entry in json.loads(run("providers", "--json").output)}
    operations = {operation["operation"]: operation for operation in described["photogpt"]["operations"]}
    assert sorted(operations) == ["images.generation", "images.upscaling", "models.train", "videos.generation"]
    assert operations["models.train"]["first_poll_seconds"] == 300.0


@pytest.mark.parametrize("code", FailureCode)
def test_every_way_to_fail_comes_with_advice(code: FailureCode) -> None:
    """A person reads code, message and what to do."""
    failure = Failure(code=code, message="words of the provider", job_id="job-1")
    text = explain(JobFailed(failure.model_dump_json()))
    assert text == f"job job-1 failed: {code}: words of the provider. To do: {ADVICE[code]}"


def test_other_errors_are_printed_as_they_are() -> None:
    """Our errors say themselves what to do; a message that is no JSON is no second error."""
    assert explain(InvalidRequestError("prompt: is required")) == "prompt: is required"
    assert explain(JobFailed("not JSON")) == "the job failed: not JSON"
