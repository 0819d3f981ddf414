"""Where the settings come from: the environment, `.env`, secret files; how they are shown; and the example."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bide.settings.model import KNOWN, Settings, in_force
from bide.settings.problems import ConfigurationProblems
from bide.settings.reader import FILE_SUFFIX
from bide.settings.variables import find, variable_name, variable_path
from config.settings import load, show

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"
ENOUGH = {"BIDE_S3__BUCKET": "results"}
KEY = "BIDE_PROVIDERS__PHOTOGPT__API_KEY"


def settings_of(**variables: str) -> Settings:
    """The settings of an environment that has nothing but these and what is required."""
    return load(ENOUGH | variables, env_file=None)


def wrong_with(**variables: str) -> str:
    """The message about an environment that can't be used."""
    with pytest.raises(ConfigurationProblems) as raised:
        settings_of(**variables)
    return str(raised.value)


# Where it comes from


def test_environment_wins_over_env_file(tmp_path: Path) -> None:
    """`.env` fills in what the real environment leaves open, also where one of the two names a file."""
    env_file = tmp_path / ".env"
    env_file.write_text(f"BIDE_S3__BUCKET=written\nBIDE_LOG__LEVEL=debug\n{KEY}_FILE=/nowhere\nUNRELATED=1\n")

    settings = load({"BIDE_S3__BUCKET": "real-one", KEY: "real-key"}, env_file=env_file)

    assert settings.s3.bucket == "real-one"
    assert settings.log.level == "DEBUG"
    assert settings.account("photogpt").api_key.get_secret_value() == "real-key"


def test_every_secret_can_come_from_a_file(tmp_path: Path) -> None:
    """`NAME_FILE` holds the path of a file with the secret; a trailing newline is none of it."""
    secret = tmp_path / "secret"
    paths = [leaf.path for leaf in KNOWN if leaf.secret]
    assert len(paths) >= 6

    for path in paths:
        url = path[-1].endswith("_url")
        secret.write_text("redis://:pw@127.0.0.1/0\n" if url else "ZnJvbS1hLWZpbGUtZnJvbS1hLWZpbGUt\n")
        name = variable_name(tuple(part.replace("<name>", "photogpt") for part in path))
        extra = {"BIDE_FLOWER__USER": "operator"} if "FLOWER" in name else {}
        values = dict(in_force(settings_of(**extra, **{name + FILE_SUFFIX: str(secret)})))
        value = values[variable_path(name)]
        assert (value if url else value.get_secret_value()) == secret.read_text().strip()


def test_show_names_value_and_source_of_every_variable(tmp_path: Path) -> None:
    """Each variable has one line, with the place that its value comes from."""
    secret, env_file = tmp_path / "key", tmp_path / ".env"
    secret.write_text("key-in-a-file")
    env_file.write_text("BIDE_LOG__LEVEL=ERROR\n")

    lines = list(show(ENOUGH | {KEY + FILE_SUFFIX: str(secret)}, env_file=env_file))

    assert "BIDE_S3__BUCKET=results  # environment" in lines
    assert "BIDE_LOG__LEVEL=ERROR  # .env" in lines
    assert "BIDE_LOG__FORMAT=auto  # default" in lines
    assert f"{KEY}=**********  # file" in lines


def test_secret_file_problems_are_named(tmp_path: Path) -> None:
    """A missing file, an empty file and a secret that is set twice are each reported under the name that was set."""
    empty = tmp_path / "empty"
    empty.write_text("\n")
    variable = KEY + FILE_SUFFIX

    assert "can't be read" in wrong_with(**{variable: str(tmp_path / "missing")})
    assert "is empty" in wrong_with(**{variable: str(empty)})
    assert f"as well as {KEY}" in wrong_with(**{variable: str(empty), KEY: "set-twice"})


def test_env_file_that_can_not_be_read_is_a_problem(tmp_path: Path) -> None:
    """A `.env` that is no text is reported, not skipped."""
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigurationProblems, match=r"\.env: can't be read"):
        load(ENOUGH, env_file=env_file)


# Secrets

SECRETS = {
    "BIDE_BROKER_URL": "redis://user:hush-broker@127.0.0.1:6379/0",
    "BIDE_LEDGER_URL": "sentinel://:hush-a;b@one:26379;sentinel://:hush-a;b@two:26379",
    "BIDE_RESULT_URL": "rediss://127.0.0.1:6379/0?ssl_password=hush-query",
    "BIDE_FLOWER__USER": "operator",
    "BIDE_FLOWER__PASSWORD": "hush-flower",
    KEY: "hush-key",
    "BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__API_KEY": "hush-account",
}


def test_secrets_show_nowhere() -> None:
    """Neither `repr`, `str` nor the printed list holds a key or a password, however it is nested."""
    settings = settings_of(**SECRETS)
    seen = [repr(settings), str(settings), repr(settings.account("photogpt")), *show(ENOUGH | SECRETS, env_file=None)]

    assert "hush" not in "\n".join(seen)
    assert "redis://user:***@127.0.0.1:6379/0" in repr(settings)
    assert settings.broker_url == SECRETS["BIDE_BROKER_URL"]


def test_wrong_secrets_show_nowhere() -> None:
    """A mistyped address or key is not repeated in the error about it, nor in the chain of causes."""
    with pytest.raises(ConfigurationProblems) as raised:
        settings_of(
            BIDE_BROKER_URL="rdis://user:hush@127.0.0.1",
            BIDE_LEDGER_URL="redis://user:hush@127.0.0.1:hush",
            BIDE_PROVIDERS__PHOTOGPT__APIKEY="hush",
            BIDE_PROVIDERS__PHOTOGPT__BASE_URL="https://user:hush@api.example.com",
            BIDE_FLOWER__PASSWORD="hush",
        )

    assert len(raised.value.problems) == 5
    assert "hush" not in f"{raised.value} {raised.value!r} {raised.value.problems!r}"
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_secrets_are_listed_for_the_logs() -> None:
    """The logs get every secret value, so that they can star it out."""
    listed = set(settings_of(**SECRETS).secrets())

    assert {"hush-broker", "hush-flower", "hush-key", "hush-account"} <= listed


# As a program and as files


def run(environ: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """`python -m config.settings` in a folder of its own."""
    command = [sys.executable, "-m", "config.settings"]
    environ = environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False, timeout=30)


def test_program_prints_what_is_in_force(tmp_path: Path) -> None:
    """It lists every variable, reads the `.env` of the current folder, and exits with 0."""
    (tmp_path / ".env").write_text("BIDE_S3__BUCKET=written\n")

    done = run(SECRETS, tmp_path)

    assert done.returncode == 0
    assert "BIDE_S3__BUCKET=written  # .env" in done.stdout.splitlines()
    assert "hush" not in done.stdout + done.stderr


def test_program_prints_the_problems(tmp_path: Path) -> None:
    """It tells every problem, without a traceback, and exits with 1."""
    done = run({"BIDE_BROKR_URL": "x"}, tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("2 problems with the configuration:\n  BIDE_BROKR_URL: ")
    assert "  BIDE_S3__BUCKET: is not set; " in done.stderr
    assert "Traceback" not in done.stderr


def test_example_loads_as_it_stands() -> None:
    """`cp .env.example .env` is a working set-up on the sandbox."""
    settings = load({}, env_file=EXAMPLE)

    assert set(settings.providers) == {"cyberphotobooth", "dreambooth", "fal", "nextry", "photogpt", "replicate"}
    assert settings.account("nextry").media_hosts == ("127.0.0.1:8900",)


def test_example_holds_every_variable_and_no_other(tmp_path: Path) -> None:
    """Every variable there is stands in the example, every one in the example exists, and all its values are good."""
    text = re.sub(r"(?m)^#(?=BIDE_)", "", EXAMPLE.read_text())
    names = re.findall(r"(?m)^(BIDE_\w+)=", text)
    everything = tmp_path / ".env"
    everything.write_text(text)

    load({}, env_file=everything)

    named = {leaf.path for name in names if (leaf := find(KNOWN, variable_path(name)))}
    assert [variable_name(leaf.path) for leaf in KNOWN if leaf.path not in named] == []
    assert len(names) == len(set(names))


def test_example_shows_the_defaults() -> None:
    """A variable commented out shows the default, where there is one."""
    defaults = {variable_name(path): value for path, value in in_force(settings_of())}
    commented = dict(re.findall(r"(?m)^#(BIDE_(?:TIMING|MEDIA|WORKER|POLLER|LOG)__\w+)=(.*)$", EXAMPLE.read_text()))

    assert len(commented) >= 14
    for name, shown in commented.items():
        assert type(defaults[name])(shown) == defaults[name], name


def test_schedules_file_is_empty_and_readable() -> None:
    """No schedule runs until an operator writes one."""
    assert tomllib.loads((ROOT / "config" / "schedules.toml").read_text()) == {}
