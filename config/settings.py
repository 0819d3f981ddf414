"""The environment, read once into one frozen value; `python -m config.settings` shows what is in force."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bide.settings.addresses import ServerUrl, masked
from bide.settings.checks import cross_checks
from bide.settings.environment import CollectedSource, Collection, Variable
from bide.settings.model import KNOWN, Settings, in_force
from bide.settings.problems import ConfigurationProblems, problems_of
from bide.settings.variables import variable_name

#: Read besides the environment, which wins; `DOTENV` names another one.
ENV_FILE = Path(os.environ.get("DOTENV", ".env"))


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Settings:
    """Read `environ`, by default the process's own, and `env_file`; raises `ConfigurationProblems`, all in one."""
    return _load(_collect(environ, env_file))


def _collect(environ: Mapping[str, str] | None, env_file: Path | None) -> Collection:
    return Collection(KNOWN, os.environ if environ is None else environ, env_file)


def _load(collection: Collection) -> Settings:
    """Build and check; what is wrong by itself is left out of the checks of what must agree."""
    problems = list(collection.problems)
    try:
        settings = _build(collection.variables)
    except ValidationError as error:
        problems.extend(problems_of(error, KNOWN))
        wrong = {problem.variable for problem in problems}
        settings = _build({name: said for name, said in collection.variables.items() if name not in wrong})
    named = {problem.variable for problem in problems}
    problems.extend(problem for problem in cross_checks(settings) if problem.variable not in named)
    if problems:
        raise ConfigurationProblems(problems)
    return settings


def _build(variables: Mapping[str, Variable]) -> Settings:
    return Settings(_build_sources=((CollectedSource(Settings, variables),), {}))


@cache
def settings() -> Settings:
    """The settings of this process, read at the first call."""
    return load()


def show(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Iterator[str]:
    """A line for each variable in force: its name, its value with secrets starred out, and who said so."""
    collection = _collect(environ, env_file)
    for path, value in in_force(_load(collection)):
        name = variable_name(path)
        said = collection.variables.get(name)
        yield f"{name}={_shown(value)}  # {said.source if said else 'default'}"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, ServerUrl):
        return masked(value)
    return json.dumps(value) if isinstance(value, tuple) else str(value)


def main() -> int:
    """Print what is in force, or what is wrong; the exit code says which."""
    try:
        sys.stdout.write("\n".join(show()) + "\n")
    except ConfigurationProblems as problems:
        sys.stderr.write(f"{problems}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
