"""The wheel in an environment of its own, with nothing but what it asks for, as another service has it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration.caller import marker
from tests.integration.processes import plain_environment
from tests.integration.rig import Rig
from tests.unit.test_wheel import NOT_IN_BASE, ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: How long the installation may take [seconds].
INSTALL_SECONDS = 240

PROGRAM = """
import asyncio, importlib.util, json, sys
from bide import AsyncClient, Client
from bide.errors import ConfigurationError
from bide.params import photogpt

url, prompt, *extras = sys.argv[1:]
there = [name for name in extras if importlib.util.find_spec(name)]
fox = photogpt.ImagesGeneration(modelID="m1", prompt=prompt)
with Client(url) as client:
    job_id = client.submit(fox, metadata={"order": "1"})
    waited = client.wait(job_id, timeout_seconds=60)
    try:
        client.result(job_id, presign_seconds=60)
    except ConfigurationError as error:
        refused = str(error)

async def again():
    async with AsyncClient(url) as client:
        return await client.wait(job_id, timeout_seconds=60)

print(json.dumps({"there": there, "same": asyncio.run(again()) == waited, "refused": refused}))
"""

TYPED = """
from bide.client import AsyncClient, Client
from bide.params import photogpt

async def wait(client: AsyncClient, job_id: str) -> str:
    return (await client.wait(job_id)).outputs[0].uri

def submit(client: Client) -> str:
    job_id = client.submit(photogpt.ImagesGeneration(modelID="m1", prompt="a fox"), priority="bulk")
    signed = client.result(job_id, presign_seconds=60)
    return signed.outputs[0].url if signed else job_id
"""

WRONG = """
from bide.client import Client
from bide.params import photogpt

def submit(client: Client) -> None:
    client.submit(photogpt.ImagesGeneration(prompt="a fox"))
    client.submit(photogpt.ModelsTrain(modelID=5))
    client.submit({}, priority="urgent")
    client.submit({}, deadline_second=5)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel of `make wheel` and its base dependencies, as README says."""
    folder = tmp_path_factory.mktemp("clean")
    python = folder / "venv" / "bin" / "python"
    make, install = [sys.executable, "-m", "venv"], [str(python), "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        make, install = [uv, "venv", "--python", sys.executable], [uv, "pip", "install", "--python", str(python)]
    subprocess.run([*make, str(folder / "venv")], check=True, capture_output=True)
    try:
        command = [*install, "--quiet", str(built(folder / "source")), "-c", str(ROOT / "constraints.txt")]
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"setuptools or the base dependencies can't be had from the registry: {error}")
    return python


def built(source: Path) -> Path:
    """The wheel that `make wheel` builds in a checkout, which holds what an older build left."""
    shutil.copytree(ROOT / "bide", source / "bide", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile"):
        shutil.copy(ROOT / name, source)
    (source / "build" / "lib" / "bide").mkdir(parents=True)
    (source / "build" / "lib" / "bide" / "left_over.py").write_text("")
    command = ["make", "--no-print-directory", "wheel", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=source, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    wheel = source / done.stdout.splitlines()[-1]
    assert "bide/left_over.py" not in zipfile.ZipFile(wheel).namelist()
    return wheel


def test_a_service_with_the_wheel_alone(python: Path, rig: Rig, tmp_path: Path) -> None:
    """It submits, waits and waits asynchronously; what needs an extra says which; no extra is there."""
    (tmp_path / "program.py").write_text(PROGRAM)
    marked = marker()
    command = [str(python), "-W", "error", "program.py", rig.redis.url, marked, *NOT_IN_BASE]

    done = subprocess.run(
        command, cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["there"], answer["same"]) == ([], True)
    assert "pip install 'bide[s3]'" in answer["refused"]
    assert len(rig.purchases(marked)) == 1


def test_the_command_comes_along(python: Path) -> None:
    """`bide` runs, with the help of all its commands."""
    done = subprocess.run([python.with_name("bide"), "--help"], capture_output=True, text=True, check=True)
    assert "callbacks" in done.stdout


def test_editors_know_the_types(python: Path, tmp_path: Path) -> None:
    """A type checker outside of this repository takes what is right and names what is wrong, line by line."""
    (tmp_path / "typed.py").write_text(TYPED)
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", str(python)]

    done = subprocess.run([*command, "typed.py", "wrong.py"], cwd=tmp_path, capture_output=True, text=True, check=False)

    found = {line.rpartition(" error:")[0] or line for line in done.stdout.splitlines() if " error:" in line}
    assert {f"wrong.py:{line}:" for line in (6, 7, 8, 9)} == found, done.stdout
