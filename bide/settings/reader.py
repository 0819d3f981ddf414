"""The one reading of the environment, for workers and command: process, `.env` and secret files.

This module needs nothing that an extra brings: a caller's `bide` command reads the environment with it, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values

PREFIX = "BIDE_"

#: The end of a variable's name whose value is the path of a file with the secret.
FILE_SUFFIX = "_FILE"

#: What begins the names of boto3's own variables, and the ones of them that are one set of access keys.
STORE_PREFIX = "AWS_"
ACCESS_KEYS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})

Source = Literal["environment", ".env", "file"]


@dataclass(frozen=True)
class Variable:
    """The value of a variable, and its source."""

    value: str = field(repr=False)
    source: Source


def env_file() -> Path:
    """The file that is read besides the environment: `.env`, or the one that `DOTENV` names."""
    return Path(os.environ.get("DOTENV", ".env"))


def read_env_file(file: Path | None) -> dict[str, str | None]:
    """The variables of `.env`; none where there is no file. Raises `OSError` and `UnicodeDecodeError`."""
    if file is None or not file.exists():
        return {}
    return dotenv_values(file, interpolate=False)


def merge(environ: Mapping[str, str], written: Mapping[str, str | None]) -> dict[str, Variable]:
    """All variables with a value, sorted, so that a name comes before its `_FILE`. An empty value is none.

    The process's environment wins over the `.env` file, also where one of the two names the secret's file instead.
    """
    real = _variables(environ, "environment")
    decided = {name.removesuffix(FILE_SUFFIX) for name in real}
    rest = {
        name: variable
        for name, variable in _variables(written, ".env").items()
        if name not in real and not (name.startswith(PREFIX) and name.removesuffix(FILE_SUFFIX) in decided)
    }
    return real | rest


def read_secret(path: Path) -> str | None:
    """The content of a secret's file; None for a file that is empty or can't be read."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def export_store_variables(values: Mapping[str, str | None]) -> None:
    """Give this process the `AWS_...` variables of `.env` that its environment lacks: boto3 looks only there.

    A set of access keys is taken whole or not at all. An empty variable of the environment stays: it keeps keys away.
    """
    decided = ACCESS_KEYS if ACCESS_KEYS & os.environ.keys() else frozenset()
    for name, value in values.items():
        if name.startswith(STORE_PREFIX) and value and name not in decided:
            os.environ.setdefault(name, value)


def _variables(given: Mapping[str, str | None], source: Source) -> dict[str, Variable]:
    named = sorted((_name(name), value) for name, value in given.items() if value)
    return {name: Variable(value, source) for name, value in named}


def _name(name: str) -> str:
    """The name of a variable; ours are written in capitals, however they were given."""
    return name.upper() if name.upper().startswith(PREFIX) else name
