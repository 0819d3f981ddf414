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

from bide.errors import ConfigurationError
from bide.money.budget_names import doubtful_names
from bide.settings.addresses import ServerUrl, masked
from bide.settings.checks import cross_checks, listing_problems
from bide.settings.environment import EnvironmentReader, VariableSource
from bide.settings.model import KNOWN, Settings, in_force
from bide.settings.problems import ConfigurationProblems, Problem, problems_of
from bide.settings.reader import Variable, env_file, export_store_variables, read_env_file
from bide.settings.variables import variable_name
from config.budgets import load_for, names_of

#: The file that is read besides the environment, which wins.
ENV_FILE = env_file()


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Settings:
    """The settings of `environ`, by default the process's own, and `env_file`; raises `ConfigurationProblems`."""
    return _load(_read(environ, env_file))


def _read(environ: Mapping[str, str] | None, env_file: Path | None) -> EnvironmentReader:
    return EnvironmentReader(KNOWN, os.environ if environ is None else environ, env_file)


def _load(reader: EnvironmentReader, *, adapters: bool = False) -> Settings:
    """The settings, checked; a variable with a problem of its own is left out of the checks of values together.

    `adapters`: also against what the installed adapters can do, as workers do at their start.
    """
    problems = list(reader.problems)
    try:
        settings = _build(reader.variables)
    except ValidationError as error:
        problems.extend(problems_of(error, KNOWN))
        wrong = {problem.variable for problem in problems}
        settings = _build({name: it for name, it in reader.variables.items() if name not in wrong})
    named = {problem.variable for problem in problems}
    problems.extend(problem for problem in cross_checks(settings) if problem.variable not in named)
    problems.extend(_budget_problems(settings))
    if adapters:
        problems.extend(listing_problems(settings))
    if problems:
        raise ConfigurationProblems(problems)
    return settings


def _budget_problems(settings: Settings) -> tuple[Problem, ...]:
    try:
        load_for(settings)
    except ConfigurationProblems as problems:
        return problems.problems
    return ()


def _build(variables: Mapping[str, Variable]) -> Settings:
    return Settings(_build_sources=((VariableSource(Settings, variables),), {}))


@cache
def settings() -> Settings:
    """The settings of this process, read at the first call; also for boto3, which reads its variables by itself."""
    loaded = load()
    export_store_variables(read_env_file(ENV_FILE))
    return loaded


def show(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Iterator[str]:
    """A line for each variable in force: its name, its value with secrets starred out, and its source."""
    reader = _read(environ, env_file)
    for path, value in in_force(_load(reader, adapters=True)):
        name = variable_name(path)
        variable = reader.variables.get(name)
        yield f"{name}={_shown(value)}  # {variable.source if variable else 'default'}"


def _doubtful_budgets() -> Iterator[tuple[str, str]]:
    """Budgets of names that are like others of the settings."""
    loaded = load()
    return doubtful_names(load_for(loaded), names_of(loaded))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, ServerUrl):
        return masked(value)
    return json.dumps(value, default=str) if isinstance(value, tuple) else str(value)


def main() -> int:
    """Print the settings in force and return 0, or print their problems and return 1."""
    try:
        sys.stdout.write("\n".join(show()) + "\n")
        sys.stderr.writelines(f"budgets.{name}: {words}\n" for name, words in _doubtful_budgets())
    except (ConfigurationProblems, ConfigurationError) as problems:  # the latter: in files of providers
        sys.stderr.write(f"{problems}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
