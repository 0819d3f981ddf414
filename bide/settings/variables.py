"""The names of all variables, read from the settings themselves, so that no list of names can fall behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bide.settings.addresses import ServerUrl
from bide.settings.reader import PREFIX

SEPARATOR = "__"

#: The part of a path for a name that the user gives: a provider's, an account's.
ANY = "<name>"

Path = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """One variable, or a family of them where its path holds `ANY`."""

    path: Path
    field: FieldInfo

    @property
    def secret(self) -> bool:
        return any(issubclass(kind, SecretStr | ServerUrl) for kind in _types(self.field.annotation))

    def matches(self, path: Path) -> bool:
        return len(path) == len(self.path) and all(a in (ANY, b) for a, b in zip(self.path, path, strict=True))

    def named_as(self, path: Path) -> str:
        """The variable's name, with the names given in `path` at the places of `ANY`."""
        names = (path[at] if part == ANY and at < len(path) else part for at, part in enumerate(self.path))
        return variable_name(tuple(names))


def variable_name(path: Path) -> str:
    """`("s3", "bucket")` as `BIDE_S3__BUCKET`."""
    return PREFIX + SEPARATOR.join(path).upper()


def variable_path(name: str) -> Path:
    """`BIDE_S3__BUCKET` as `("s3", "bucket")`."""
    return tuple(name.removeprefix(PREFIX).lower().split(SEPARATOR))


def leaves(model: type[BaseModel], path: Path = ()) -> Iterator[Leaf]:
    """Every variable of a tree of settings."""
    for name, info in model.model_fields.items():
        if get_origin(info.annotation) is dict:
            kind = get_args(info.annotation)[1]
            if issubclass(kind, BaseModel):  # else the names are those of adapters: `credentials` knows them
                yield from leaves(kind, (*path, name, ANY))
        elif isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from leaves(info.annotation, (*path, name))
        else:
            yield Leaf((*path, name), info)


def find(known: tuple[Leaf, ...], path: Path) -> Leaf | None:
    """The variable at `path`, if there is one."""
    return next((leaf for leaf in known if leaf.matches(path)), None)


def _types(annotation: Any) -> tuple[type, ...]:
    if isinstance(annotation, type):
        return (annotation,)
    return tuple(kind for part in get_args(annotation) for kind in _types(part))
