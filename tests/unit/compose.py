"""docker-compose.yml as the tests read it, with the secrets that its script makes."""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from bide.settings.model import Settings
from config.settings import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROCFILE = dict(re.findall(r"(?m)^(\w+): (.+)$", (ROOT / "Procfile").read_text()))
EXAMPLE = (ROOT / ".env.example").read_text()

#: `${NAME}`, `${NAME:-default}` or `${NAME:?message}`.
REFERENCE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")

#: Where Compose mounts what is made by `deploy/make-secrets`.
MOUNTED = "/run/secrets/"


def filled(text: str) -> str:
    """A value as Compose hands it on, with the example's values."""
    known = dict(re.findall(r"(?m)^(\w+)=(.*)$", EXAMPLE))
    return REFERENCE.sub(lambda found: known.get(found[1]) or (found[3] if found[2] == ":-" else ""), text)


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
    own = {key: value.replace(MOUNTED, f"{secrets()}/") for key, value in given.items()}
    return load(written | own, env_file=None)
