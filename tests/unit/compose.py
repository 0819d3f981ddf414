"""docker-compose.yml as the tests read it, with the secrets that its script makes."""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import yaml

from bide.settings.model import Settings
from config.settings import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROCFILE = dict(re.findall(r"(?m)^(\w+): (.+)$", (ROOT / "Procfile").read_text()))
EXAMPLE = (ROOT / ".env.example").read_text()

#: `${NAME}`, `${NAME:-default}`, `${NAME:?message}` or `${NAME:+where it is set}`.
REFERENCE = re.compile(r"\$\{(\w+)(?:(:[-?+])([^}]*))?\}")

#: Where Compose mounts what is made by `deploy/make-secrets`.
MOUNTED = "/run/secrets/"

#: Where the worker finds the folder `config`, for its budgets.
BUDGETS = "/etc/bide/"


def filled(text: str, **more: str) -> str:
    """A value as Compose hands it on, with the example's values and `more` of them."""
    known = {**dict(re.findall(r"(?m)^(\w+)=(.*)$", EXAMPLE)), **more}

    def value(found: re.Match[str]) -> str:
        name, how, word = found.groups()
        if how == ":+":
            return word if known.get(name) else ""
        return known.get(name) or (word if how == ":-" else "")

    return REFERENCE.sub(value, text)


#: kubectl, of this machine or of the wheel that `make test-containers` brings; None where there is neither.
KUBECTL = shutil.which("kubectl") or shutil.which("kubectl", path=Path(sys.executable).parent)


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """Every object as `kubectl apply -k` would send it."""
    assert KUBECTL is not None
    command = [KUBECTL, "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return list(yaml.safe_load_all(done.stdout))


@cache
def secrets() -> Path:
    """A folder with the secrets that the script makes."""
    root = Path(mkdtemp(prefix="bide-secrets-"))
    atexit.register(shutil.rmtree, root)
    (root / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "make-secrets", root / "deploy")
    subprocess.run([script], check=True, capture_output=True, timeout=30)
    return root / "secrets"


def files(name: str) -> dict[str, str]:
    """The variables of a process that name a secret's file, and the secret."""
    given = SERVICES[name]["environment"].items()
    return {key: value.removeprefix(MOUNTED) for key, value in given if value.startswith(MOUNTED) and key != "DOTENV"}


def settings_of(name: str) -> Settings:
    """The settings of a process in its container."""
    written = dict(re.findall(r"(?m)^(\w+)=(.*)$", EXAMPLE.replace("127.0.0.1:8900", "sandbox:8900")))
    given = {key: filled(value) for key, value in SERVICES[name]["environment"].items()}
    assert set(files(name).values()) <= set(SERVICES[name]["secrets"])
    own = {
        key: value.replace(MOUNTED, f"{secrets()}/").replace(BUDGETS, f"{ROOT}/config/") for key, value in given.items()
    }
    return load(written | own, env_file=None)


#: A test for each process of the Procfile, and one for each service of docker-compose.yml.
processes = pytest.mark.parametrize("name", PROCFILE)
services = pytest.mark.parametrize("name", SERVICES)
