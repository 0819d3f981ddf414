"""`cp .env.example .env` works as it stands, in the ways that README names; only its ports are others here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.processes import Process
from tests.integration.servers import free_port
from tests.integration.test_embedded import ROOT, Run, bide, deployment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

__all__ = ["bide", "deployment"]  # the fixtures

#: The ports of the example, on which something else may listen on the machine of the tests.
PORTS = ("6379", "8333", "8900", "5555")

JOB = ("submit", "photogpt", "images.generation", "-p", "modelID=m1", "-p", "prompt=a red fox", "--wait")


@pytest.fixture(autouse=True)
def env_file(deployment: Path) -> str:
    """The example as `.env`, with free ports; its text."""
    text = (ROOT / ".env.example").read_text()
    for port in PORTS:
        text = re.sub(rf"\b{port}\b", str(free_port()), text)
    (deployment / ".env").write_text(text)
    return text


def submit(deployment: Path) -> str:
    """What a person sees who submits a job in the folder and waits for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIDE_", "AWS_"))}
    command = [str(Path(sys.executable).with_name("bide")), *JOB]
    done = subprocess.run(command, cwd=deployment, env=kept, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def port_of(env_file: str, variable: str) -> str:
    """The port in a variable of the example."""
    found = re.search(rf"(?m)^{variable}=\S*?(\d+)(/0)?$", env_file)
    assert found
    return found[1]


def test_bide_up(bide: Callable[..., Run], deployment: Path, env_file: str) -> None:
    """Broker, store and sandbox come along at the addresses of the file, and a job succeeds."""
    run = bide("up")
    run.hears("ready; Ctrl-C ends it")
    assert f"redis://127.0.0.1:{port_of(env_file, 'BIDE_BROKER_URL')}/0" in run.text()
    assert f"flower    http://127.0.0.1:{port_of(env_file, 'BIDE_FLOWER__PORT')}" in run.text()
    assert re.search(r"^s3://bide/.*/0\.png$", submit(deployment), re.MULTILINE)
    assert list((deployment / ".bide/up/objects/bide").rglob("0.png"))


def test_a_port_in_use_is_named(bide: Callable[..., Run], deployment: Path, env_file: str) -> None:
    """With what to do, and without a traceback."""
    first = bide("up", "--servers-only")
    first.hears("ready; Ctrl-C ends it")
    (deployment / ".bide/up").rename(deployment / ".bide/other")  # as for a stack in another folder
    second = bide("up", "--servers-only")
    assert second.ends() == 1
    port = port_of(env_file, "BIDE_BROKER_URL")
    assert f"broker: 127.0.0.1:{port} can't be used: Address already in use. Stop what runs there" in second.text()
    assert "Traceback" not in second.text()


@pytest.mark.whole
def test_honcho(bide: Callable[..., Run], deployment: Path, env_file: str, tmp_path: Path) -> None:
    """The Procfile's processes against servers that run, and Flower where the file says."""
    bide("up", "--servers-only").hears("ready; Ctrl-C ends it")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIDE_", "AWS_"))}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    honcho = Process(
        "honcho",
        [sys.executable, "-m", "honcho", "-d", str(deployment), "start"],
        env={**kept, "PATH": path},
        ready=r"Visit me at (\S+)",
        log=tmp_path / "honcho.log",
    )
    try:
        assert honcho.start()[1] == f"http://127.0.0.1:{port_of(env_file, 'BIDE_FLOWER__PORT')}"
        assert "s3://bide/" in submit(deployment)
    finally:
        honcho.ask_to_end()
        honcho.wait(60)


@pytest.mark.parametrize(
    ("broker", "says"),
    [
        ("127.0.0.1:6379/0", "BIDE_BROKER_URL: must begin with one of amqp://"),
        (
            "redis://:a-password@127.0.0.1:1/0",
            "the broker at 127.0.0.1:1/0 does not answer: .*Connection refused; start it",
        ),
    ],
    ids=["no address", "nobody there"],
)
def test_a_broker_that_is_not_there_is_said_at_once(bide: Callable[..., Run], broker: str, says: str) -> None:
    """In words for a person: no traceback, no log line, no password."""
    printed = bide("up", BIDE_BROKER_URL=broker, BIDE_UP__SERVERS="objects").output(code=1)
    assert re.search(says, printed), printed
    assert not re.search(r"Traceback|\{\"|a-password", printed), printed
