"""The file of an API that was in no list (`docs/recorded/a-new-api.md`): its samples, and a job at its double."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner, Result

from bide.cli.main import main
from bide.cli.provider_files import QUESTIONS
from bide.providers.base import Provider, Submission
from bide.providers.declared.samples import load
from bide.providers.declared.trial import adapter_of
from tests.background import answering
from tests.contract.provider_contract import ProviderContract
from tests.contract.samples import Sample
from tests.media import png
from tests.meshy import KEY, Meshy
from workers.try_provider import main as try_main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recorded" / "a-new-api.md").read_text(encoding="utf-8")
FILE = ROOT / "docs" / "examples" / "meshy.toml"
SAMPLES = FILE.with_suffix(".samples")
ADAPTER = adapter_of(FILE)
PARAMS = '{"ai_model": "nano-banana", "prompt": "a red fox", "aspect_ratio": "16:9"}'


class TestMeshyInAFile(ProviderContract):
    """What all adapters keep, by the examples of its documentation."""

    name = "meshy"
    submissions: ClassVar = {
        "text_to_image": Submission("job", "text_to_image", {"ai_model": "nano-banana", "prompt": "a red fox"})
    }

    @property
    def adapter(self) -> Provider:
        return ADAPTER

    @classmethod
    def samples(cls) -> list[Sample]:
        return load(SAMPLES)


def test_check_passes_on_the_file() -> None:
    """Every kind is there, each sample expects something, and none is made up."""
    checked = CliRunner().invoke(main, ["providers", "check", str(FILE)])
    assert checked.exit_code == 0, checked.output
    count = len(list(SAMPLES.iterdir()))
    assert f"{count} samples of {SAMPLES}: all as expected\n" in checked.output
    assert "there is no sample" not in checked.output


def shown(command: str) -> str:
    """What the page shows of a command."""
    return PAGE.split(f"$ {command}\n")[1].split("```")[0]


def test_the_recorded_check_is_that_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word."""
    monkeypatch.chdir(ROOT)
    checked = CliRunner().invoke(main, ["providers", "check", "docs/examples/meshy.toml"])
    assert checked.output == shown("bide providers check docs/examples/meshy.toml")


def test_the_recorded_answers_make_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question with its answer, and what was written."""
    monkeypatch.chdir(tmp_path)
    asked = shown("bide providers new").splitlines()[: len(QUESTIONS)]
    questions = [question for question, _ in QUESTIONS.values()]
    answers = [
        re.sub(rf"^{re.escape(question)}( \[.*\])?: ?", "", line)
        for question, line in zip(questions, asked, strict=True)
    ]
    made = CliRunner().invoke(main, ["providers", "new"], input="".join(f"{answer}\n" for answer in answers))
    assert made.exit_code == 0, made.output
    assert made.output.endswith("\n".join(shown("bide providers new").splitlines()[len(QUESTIONS) :]) + "\n")


@pytest.fixture
def meshy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Meshy]:
    """The double, and the file with shorter waits in the folder of the test."""
    waits = "poll = { first_seconds = 0.05, cap_seconds = 0.05 }\nunknown_grace_seconds = 0.1"
    text = re.sub(r"poll = \{.*\}", waits, FILE.read_text(encoding="utf-8"))
    (tmp_path / "meshy.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOTENV", str(tmp_path / ".env"))
    monkeypatch.setenv("BIDE_PROVIDERS__MESHY__API_KEY", KEY)
    double = Meshy()
    with answering(double.app()) as address:
        monkeypatch.setenv("BIDE_PROVIDERS__MESHY__BASE_URL", f"{address}/openapi/v1")
        yield double


def tried(*options: str) -> Result:
    """`bide providers try` with the file of the test."""
    return CliRunner().invoke(try_main, [*options, "--yes", "--", "meshy.toml"])


def test_a_job_that_can_not_be_saved_is_gone_on_with(meshy: Meshy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting and the job; with `--job` nothing is bought again. Its answers become samples."""
    first = tried("--params", PARAMS, "--save", "out", "--record", "new")
    (task,) = meshy.tasks
    assert first.exit_code == 1
    assert "list it in BIDE_PROVIDERS__MESHY__MEDIA_HOSTS" in first.output
    assert f"the provider knows the job as {task}: --job asks for it again" in first.output
    assert "= Running: pending (0% done, 7 before it, cost 3 credits)" in first.output
    assert KEY not in first.output
    assert {sample.kind for sample in load(Path("new"))} == {"submit", "poll-running", "poll-success"}
    checked = CliRunner().invoke(main, ["providers", "check", "meshy.toml", "--samples", "new"])
    assert (checked.exit_code, checked.output.count("  ok ")) == (0, 4)

    monkeypatch.setenv("BIDE_PROVIDERS__MESHY__MEDIA_HOSTS", "127.0.0.1")
    again = tried("--job", task, "--save", "out")
    assert again.exit_code == 0, again.output
    assert Path("out/0.png").read_bytes() == png()
    assert sum(asked.startswith("POST") for asked in meshy.asked) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--params", PARAMS.replace("16:9", "3:2")], "refused: HTTP 400: Invalid parameter"),
        (["--params", PARAMS.replace("16:9", "5:2")], "params.aspect_ratio: Input should be '1:1'"),
        (["--job", "nothing"], "unknown: Task not found; the provider knows the job as nothing"),
    ],
)
@pytest.mark.usefixtures("meshy")
def test_what_goes_wrong_is_said(options: list[str], says: str) -> None:
    """By the provider, by the file, and of a job that is not there."""
    result = tried(*options)
    assert result.exit_code == 1
    assert says in result.output
