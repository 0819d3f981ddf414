"""Flower with our configuration, started for real on ports the system chooses."""

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import Process, children, plain_environment
from tests.integration.servers import free_port
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
APP = "from celery import Celery\napp = Celery('small', broker='memory://', backend='cache+memory://')\n"


@contextmanager
def flower(folder: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A Flower process with nothing in its environment but these variables."""
    (folder / "small.py").write_text(APP)
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "small",
        "flower",
        f"--conf={ROOT}/config/flowerconfig.py",
        *arguments,
    ]
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder}", "BIDE_S3__BUCKET": "results", **environ}
    with subprocess.Popen(
        command, env=given, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    """The address that Flower says it listens on."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"Visit me at (http://\S+)", line):
            return found[1]
    raise AssertionError("Flower ended before it listened")


def status_of(url: str, credentials: str = "") -> int:
    """The HTTP code of a GET."""
    headers = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"} if credentials else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_flower_asks_for_the_password(tmp_path: Path) -> None:
    """With a user and a password set, Flower listens on this machine and lets in who knows them; PORT is obeyed."""
    credentials = {"BIDE_FLOWER__USER": "operator", "BIDE_FLOWER__PASSWORD": "hush-flower"}

    with flower(tmp_path, PORT="0", **credentials) as process:
        address = address_of(process)

        assert address.startswith("http://127.0.0.1:")
        assert status_of(f"{address}/tasks") == 401
        assert status_of(f"{address}/tasks", "operator:wrong") == 401
        assert status_of(f"{address}/tasks", "operator:hush-flower") == 200


def test_flowers_own_environment_goes_first(tmp_path: Path) -> None:
    """`FLOWER_...` variables work as Flower documents them, with bide's file, too."""
    with flower(tmp_path, PORT="0", FLOWER_TASKS_COLUMNS="uuid,state") as process:
        page = urllib.request.urlopen(f"{address_of(process)}/tasks", timeout=10).read().decode()

    assert re.findall(r'data-column="(\w+)"', page) == ["uuid", "state"]


def test_bides_pages_stand_behind_a_prefix(tmp_path: Path) -> None:
    """Where a proxy gives Flower a folder, our own files and handlers are in it, too."""
    with flower(tmp_path, PORT="0", FLOWER_URL_PREFIX="watch") as process:
        address = re.sub(r"/watch/$", "", address_of(process))
        page = urllib.request.urlopen(f"{address}/watch/tasks", timeout=10).read().decode()
        own = re.findall(r"(?:href|src)=\"(/watch/bide/static/[^\"]+)\"", page)

        assert len(own) == 2
        assert [status_of(f"{address}{path}") for path in own] == [200, 200]
        assert status_of(f"{address}/watch/bide/jobs/a/revoke") == 200


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("FLOWER_PORT", ("BIDE_FLOWER__PORT", "PORT")),
        ("BIDE_FLOWER__PORT", ("PORT",)),
        ("PORT", ()),
    ],
)
def test_flowers_port_is_the_one_that_was_set_for_it(tmp_path: Path, first: str, others: tuple[str, ...]) -> None:
    """`PORT`, which platforms and honcho give to every process, counts where no other is set."""
    port = free_port()

    with flower(tmp_path, **{name: str(free_port()) for name in others}, **{first: str(port)}) as process:
        assert address_of(process) == f"http://127.0.0.1:{port}"


def listens(port: int) -> bool:
    """Whether a process takes connections at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_honcho_leaves_flowers_port_alone(tmp_path: Path) -> None:
    """It gives every process of the Procfile a `PORT`."""
    port = free_port()
    own = {"BIDE_BROKER_URL": "redis://127.0.0.1:1/0", "BIDE_S3__BUCKET": "results", "BIDE_FLOWER__PORT": str(port)}
    honcho = Process(
        "honcho",
        [sys.executable, "-m", "honcho", "start", "flower"],
        env={**plain_environment(), **own},
        ready=r"Visit me at (\S+)",
        log=tmp_path / "log",
    )
    try:
        assert honcho.start()[1] == f"http://127.0.0.1:{port}"
    finally:
        for child in children(honcho.pid):  # of groups of their own
            os.kill(child, signal.SIGKILL)
        honcho.kill()  # not asked: so soon after its start, honcho now and then waits for ever for its own lock
        eventually(lambda: not listens(port), what="Flower has ended")


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ((), {"BIDE_FLOWER__ADDRESS": "0.0.0.0"}),
        (("--address=0.0.0.0",), {}),
        ((), {"FLOWER_ADDRESS": "::"}),
        ((), {"BIDE_FLOWER__ADDRESS": "0.0.0.0", "FLOWER_BASIC_AUTH": ""}),
    ],
    ids=["by our setting", "by the command line", "by Flower's own variable", "with an empty password"],
)
def test_flower_requires_authentication(arguments: tuple[str, ...], environ: dict[str, str], tmp_path: Path) -> None:
    """Without authentication it does not start on an address that others reach, and says what to set."""
    with flower(tmp_path, "--port=0", *arguments, **environ) as process:
        _, output = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "without authentication: set BIDE_FLOWER__USER and BIDE_FLOWER__PASSWORD" in output
    assert "Traceback" not in output
    assert "Visit me" not in output


def test_flower_prints_the_problems_of_the_configuration(tmp_path: Path) -> None:
    """A wrong environment ends it with the list of problems and no traceback."""
    with flower(tmp_path, BIDE_FLOWER__PORT="many", BIDE_FLOWER__USER="operator") as process:
        _, output = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "2 problems with the configuration:" in output
    assert "Traceback" not in output
