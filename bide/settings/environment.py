"""The variables of the settings, out of environment, `.env` and secret files, with the problems met on the way."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import BaseSettings, EnvSettingsSource

from bide.settings.credentials import credentials_of, secret_path
from bide.settings.problems import Problem
from bide.settings.reader import FILE_SUFFIX, PREFIX, Variable, merge, read_env_file, read_secret
from bide.settings.variables import Leaf, find, variable_name, variable_path


class EnvironmentReader:
    """Reads the variables of `known`: `variables` has those that are set, by name, `problems` what is wrong."""

    def __init__(self, known: tuple[Leaf, ...], environ: Mapping[str, str], env_file: Path | None) -> None:
        self.variables: dict[str, Variable] = {}
        self.problems: list[Problem] = []
        self._known = known
        for name, variable in merge(environ, self._read_env_file(env_file)).items():
            if name.startswith(PREFIX):
                self._take(name, variable)

    def _read_env_file(self, env_file: Path | None) -> dict[str, str | None]:
        try:
            return read_env_file(env_file)
        except (OSError, UnicodeDecodeError):
            name = env_file.name if env_file else ""
            self.problems.append(Problem(name, "can't be read", "make it a readable UTF-8 file or remove it"))
            return {}

    def _take(self, name: str, variable: Variable) -> None:
        named_by_file = name.removesuffix(FILE_SUFFIX)
        if self._knows(name):
            self.variables[name] = variable
        elif named_by_file != name and self._knows(named_by_file):
            self._take_file(named_by_file, Path(variable.value))
        else:
            self.problems.append(self._unknown(name))

    def _knows(self, name: str) -> bool:
        path = variable_path(name)
        return find(self._known, path) is not None or secret_path(path) is not None

    def _take_file(self, name: str, path: Path) -> None:
        leaf = find(self._known, variable_path(name))
        if leaf is not None and not leaf.secret:
            self._refuse_file(name, "only secrets are read from files", f"set {name} itself")
        elif name in self.variables:
            self._refuse_file(name, f"is set as well as {name}", "keep one of the two")
        elif (content := read_secret(path)) is None:
            self._refuse_file(name, "names a file that is empty or can't be read", "set it to a readable file's path")
        else:
            self.variables[name] = Variable(content, "file")

    def _refuse_file(self, name: str, wrong: str, remedy: str) -> None:
        self.problems.append(Problem(name + FILE_SUFFIX, wrong, remedy))

    def _unknown(self, name: str) -> Problem:
        path = variable_path(name)
        names = {leaf.named_as(path) for leaf in self._known}
        if path[0] == "providers" and len(path) > 2:
            names |= {variable_name((*path[:-1], secret)) for secret in credentials_of(path[1])}
        [nearest] = get_close_matches(name, sorted(names), n=1, cutoff=0)
        return Problem(name, "there is no such variable", f"did you mean {nearest}? correct it or remove it")


class VariableSource(EnvSettingsSource):
    """pydantic-settings' reading of nested names, over variables that were read before."""

    def __init__(self, settings_class: type[BaseSettings], variables: Mapping[str, Variable]) -> None:
        self._values = {_place(name).lower(): variable.value for name, variable in variables.items()}
        super().__init__(settings_class)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._values


def _place(name: str) -> str:
    """The name by which pydantic-settings finds the place of a variable: a provider's secret is one level down."""
    nested = secret_path(variable_path(name))
    return variable_name(nested) if nested else name
