"""Processes as Compose runs them, each with the secrets that it is given there and no other: all start and serve."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import ROOT, Process, plain_environment
from tests.integration.servers import RedisServer, free_port, redis_server
from tests.integration.waiting import eventually
from tests.unit.compose import BUDGETS, EXAMPLE, MOUNTED, SERVICES, filled, secrets

pytestmark = pytest.mark.integration

#: What each process writes once it serves.
READY = {
    "worker": r"worker@\S+ ready",
    "poller": r"poller@\S+ ready",
    "beat": r"beat: Starting",
    "flower": r"Visit me at ",
    "metrics": r"metrics at http",
    "pages": r"pages at http",
    "hooks": r"hooks at http",
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One Redis for all processes."""
    with redis_server(appendonly=False) as server:
        yield server


def environment(name: str, server: RedisServer, folder: Path) -> dict[str, str]:
    """What Compose gives a process, with a folder that has its secrets in place of the mounted one."""
    service = SERVICES[name]
    for secret in service["secrets"]:
        shutil.copy(secrets() / secret, folder)
    (folder / "redis_url").write_text(server.url)
    if "DOTENV" in service["environment"]:
        (folder / "providers").mkdir()
        (folder / "providers/env").write_text("BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__API_KEY=key-of-b\n")
    written = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if line[:1].isalpha())
    given = {
        key: filled(value).replace(MOUNTED, f"{folder}/").replace(BUDGETS, f"{ROOT}/config/")
        for key, value in service["environment"].items()
    }
    own = {f"BIDE_{each}__PORT": str(free_port()) for each in ("FLOWER", "METRICS", "PAGES", "HOOKS")}
    hooks = {} if "BIDE_HOOKS__URL" in given else {"BIDE_HOOKS__URL": "https://hooks.example.com"}
    return {**plain_environment(), **written, **hooks, **given, **own, "HOME": str(folder), "TMPDIR": str(folder)}


@pytest.mark.parametrize("name", READY)
def test_process_needs_no_more(name: str, server: RedisServer, tmp_path: Path) -> None:
    """It serves and its check says so; what it says names no secret as missing."""
    env = environment(name, server, tmp_path)
    command = ["bash", "-c", "exec " + shlex.join(filled(word) for word in SERVICES[name]["command"])]
    process = Process(name, command, env=env, ready=READY[name], log=tmp_path / "log")
    check = SERVICES[name]["healthcheck"]["test"][1:]
    try:
        process.start()
        eventually(lambda: _ends_well(check, env), what=f"{name} is healthy")
    finally:
        process.kill()
    assert "Traceback" not in process.output()


def _ends_well(command: list[str], env: dict[str, str]) -> bool:
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, timeout=60, check=False)
    return done.returncode == 0
