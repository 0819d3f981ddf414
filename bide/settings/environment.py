"""Where the settings come from: what the environment, `.env` and secret files say of each variable.

The real environment wins over `.env`. A secret may lie in a file: `NAME_FILE` holds its path. An empty value is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic_settings import BaseSettings, EnvSettingsSource

from bide.settings.problems import Problem
from bide.settings.variables import PREFIX, Leaf, find, variable_path

FILE_SUFFIX = "_FILE"

Source = Literal["environment", ".env", "file"]


@dataclass(frozen=True)
class Variable:
    """What was said of one variable, and where."""

    value: str = field(repr=False)
    source: Source


class Collection:
    """The variables of `known` that were set, by name, and the problems met on the way."""

    def __init__(self, known: tuple[Leaf, ...], environ: Mapping[str, str], env_file: Path | None) -> None:
        self.variables: dict[str, Variable] = {}
        self.problems: list[Problem] = []
        self._known = known
        for name, variable in self._given(environ, env_file).items():
            self._take(name, variable)

    def _given(self, environ: Mapping[str, str], env_file: Path | None) -> dict[str, Variable]:
        real = _ours(environ, "environment")
        settled = {name.removesuffix(FILE_SUFFIX) for name in real}
        written = _ours(self._read_env_file(env_file), ".env")
        return real | {name: said for name, said in written.items() if name.removesuffix(FILE_SUFFIX) not in settled}

    def _read_env_file(self, env_file: Path | None) -> dict[str, str | None]:
        if env_file is None or not env_file.exists():
            return {}
        try:
            return dotenv_values(env_file, interpolate=False)
        except (OSError, UnicodeDecodeError):
            self.problems.append(Problem(env_file.name, "can't be read", "make it a readable UTF-8 file or remove it"))
            return {}

    def _take(self, name: str, variable: Variable) -> None:
        named_by_file = name.removesuffix(FILE_SUFFIX)
        if find(self._known, variable_path(name)):
            self.variables[name] = variable
        elif named_by_file != name and (leaf := find(self._known, variable_path(named_by_file))):
            self._take_file(named_by_file, Path(variable.value), leaf)
        else:
            self.problems.append(self._unknown(name))

    def _take_file(self, name: str, path: Path, leaf: Leaf) -> None:
        if not leaf.secret:
            self._refuse_file(name, "only secrets are read from files", f"set {name} itself")
        elif name in self.variables:
            self._refuse_file(name, f"is set as well as {name}", "keep one of the two")
        elif (content := _read_secret(path)) is None:
            self._refuse_file(name, "names a file that is empty or can't be read", "set it to a readable file's path")
        else:
            self.variables[name] = Variable(content, "file")

    def _refuse_file(self, name: str, wrong: str, remedy: str) -> None:
        self.problems.append(Problem(name + FILE_SUFFIX, wrong, remedy))

    def _unknown(self, name: str) -> Problem:
        names = {leaf.named_as(variable_path(name)) for leaf in self._known}
        [nearest] = get_close_matches(name, sorted(names), n=1, cutoff=0)
        return Problem(name, "there is no such variable", f"did you mean {nearest}? correct it or remove it")


def _ours(given: Mapping[str, str | None], source: Source) -> dict[str, Variable]:
    """The variables with our prefix, sorted: a name comes before its `_FILE`."""
    named = sorted((name.upper(), value) for name, value in given.items() if value)
    return {name: Variable(value, source) for name, value in named if name.startswith(PREFIX)}


def _read_secret(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


class CollectedSource(EnvSettingsSource):
    """pydantic-settings' reading of nested names, over variables that were collected before."""

    def __init__(self, settings_class: type[BaseSettings], variables: Mapping[str, Variable]) -> None:
        self._values = {name.lower(): variable.value for name, variable in variables.items()}
        super().__init__(settings_class)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._values
