"""Dockerfile, .dockerignore and .ci/run: what goes into an image, how it runs, and how this folder is checked."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")


def instructions(name: str) -> list[str]:
    """What follows each instruction of this name in the Dockerfile."""
    return re.findall(rf"(?m)^{name} (.+)$", DOCKERFILE)


def copied() -> list[str]:
    """What the Dockerfile copies from this folder."""
    lines = [line.split() for line in instructions("COPY") if "--from" not in line]
    return [source for *sources, _ in lines for source in sources]


def test_what_is_copied_exists_and_is_let_through() -> None:
    """Every source is there, and .dockerignore lets these in and nothing else."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied())
    assert {"config", "tasks", "workers", "sandbox", "constraints.txt"} <= set(copied())
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    assert any(fnmatch("workers/__pycache__", rule) for rule in rules[1:])


@pytest.mark.parametrize("name", ["processes", "sandbox"])
def test_image_runs_unprivileged(name: str) -> None:
    """Each ends as a user without rights, with a command that is no shell's, and its lines come without delay."""
    [stage] = [stage for stage in DOCKERFILE.split("\nFROM ") if stage.splitlines()[0].endswith(f" AS {name}")]
    users, commands = re.findall(r"(?m)^USER (\S+)$", stage), re.findall(r"(?m)^CMD (.+)$", stage)

    assert stage.startswith("runtime ")
    assert users == ["10001:10001"]
    assert len(commands) == 1
    assert isinstance(json.loads(commands[0]), list)
    assert "PYTHONUNBUFFERED=1" in DOCKERFILE.partition(" AS runtime\n")[2].partition("\nFROM ")[0]


def test_no_stage_is_too_many() -> None:
    """Each stage is an image, or others build on it; what the sandbox needs comes with the worker's packages."""
    stages = re.findall(r"(?m)^FROM \S+ AS (\S+)$", DOCKERFILE)
    used = re.findall(r"(?m)^FROM (\S+) AS ", DOCKERFILE) + re.findall(r"--from=(\S+)", DOCKERFILE)
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = metadata["dependencies"] + metadata["optional-dependencies"]["worker"]
    installed = {re.split(r"[<>=!~; \[]", each)[0] for each in wanted}

    assert set(stages) - {"processes", "sandbox"} <= set(used)
    assert len([line for line in instructions("RUN") if "pip install" in line]) == 1
    assert imported(ROOT / "sandbox") - {"sandbox", *sys.stdlib_module_names} == {"aiohttp", "click", "PIL"}
    assert {"aiohttp", "click", "pillow"} <= installed


def imported(folder: Path) -> set[str]:
    """The packages that the modules of a folder import."""
    nodes = [node for path in folder.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    partly = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | partly}


def test_image_is_built_from_the_pinned_versions_of_the_plain_index() -> None:
    """Each install is held by constraints.txt; no other index, host or secret is named."""
    installs = [line for line in instructions("RUN") if "pip install" in line]

    assert installs
    assert all("-c constraints.txt" in line for line in installs)
    assert any("'.[worker]'" in line for line in installs)
    assert not re.search(r"https?://|--(extra-)?index|secret|password", DOCKERFILE, re.IGNORECASE)
    assert not [base for base in instructions("FROM") if "." in base.split("/")[0].split(":")[0]]


def test_ci_is_one_strict_script_for_any_machine() -> None:
    """It can be run as it is, stops at what it does not expect, and names no host."""
    script = ROOT / ".ci" / "run"
    text = script.read_text()

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in text
    assert "CI=true" in text
    assert "://" not in text
    subprocess.run(["bash", "-n", str(script)], check=True)
