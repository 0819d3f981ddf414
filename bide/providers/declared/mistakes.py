"""The mistakes of providers' files: file, line, key, what is wrong and what to do, and all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from bide.errors import ConfigurationError
from bide.providers.declared.positions import Key, line_of
from bide.spelling import nearest


@dataclass(frozen=True)
class Mistake:
    """One mistake; `key` is dotted, '' for the file as a whole, `line` is None where the file has none for it."""

    file: Path
    line: int | None
    key: str
    wrong: str
    remedy: str

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}" if self.line else str(self.file)

    @property
    def says(self) -> str:
        """What is wrong, at which key."""
        return f"{self.key}: {self.wrong}" if self.key else self.wrong

    def __str__(self) -> str:
        return f"{self.place}: {self.says}; {self.remedy}"


class MistakesError(ConfigurationError):
    """Files of providers can't be used; the message has a line for each mistake."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda it: (str(it.file), it.line or 0, it.key)))
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__("\n".join([f"{count} in files of providers:", *(f"  {it}" for it in self.mistakes)]))


@dataclass(frozen=True)
class Source:
    """One file as it was read: its document, and the lines of its keys."""

    file: Path
    document: Mapping[str, Any]
    lines: dict[Key, int]

    def mistake(self, key: Key, wrong: str, remedy: str) -> Mistake:
        """A mistake at a key of the document."""
        return Mistake(self.file, line_of(self.lines, key), dotted(key), wrong, remedy)


def dotted(key: Key) -> str:
    """A key as it is written, with indexes in brackets."""
    shown = ""
    for part in key:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else part
    return shown


def of_validation(source: Source, error: ValidationError, model: type[BaseModel]) -> Iterator[Mistake]:
    """The mistakes that pydantic found."""
    for details in error.errors(include_url=False):
        key = _in_document(details["loc"], source.document)
        yield source.mistake(key, *_advice(details, key, model))


def _in_document(loc: tuple[int | str, ...], document: Any) -> Key:
    """The key of a place: without the names of pydantic's own, and the index that one value in place of a list gets."""
    key: Key = ()
    at = document
    for number, part in enumerate(loc):
        if isinstance(at, Mapping) and (part in at or number == len(loc) - 1) and isinstance(part, str):
            key, at = (*key, part), at.get(part)
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            key, at = (*key, part), at[part]
        elif part == "[key]":
            break
    return key


def _advice(details: Any, key: Key, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and what to do."""
    kind, name = details["type"], str(key[-1]) if key else ""
    if kind == "extra_forbidden":
        known = sorted(_fields(model, key[:-1]))
        meant = nearest(name, known)
        return "is not a known key", f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
    description = _description(model, key)
    if kind == "missing":
        return "is missing", f"set it to {description}" if description else "add it"
    if kind == "is_instance_of":
        wrong = "must be one JSON path, in quotes"
        return wrong, f"set it to {description}" if description else "correct it"
    wrong = str(details["msg"]).removeprefix("Value error, ")
    wrong = "has characters that it can't have" if kind == "string_pattern_mismatch" else wrong
    wrong = wrong.replace("Input should", "must").replace("String should", "must").replace("List should", "must")
    return wrong, f"set it to {description}" if description else "correct it"


def _description(model: type[BaseModel], key: Key) -> str:
    """What the key means, or the list or table that it is an entry of; '' where nothing says it."""
    for length in range(len(key), 0, -1):
        field = _fields(model, key[: length - 1]).get(str(key[length - 1]))
        if field is not None:
            return field.description or ""
    return ""


def _fields(model: type[BaseModel], key: Key) -> dict[str, Any]:
    """The fields of the table at a key, by the names that a file has for them."""
    found: Any = model
    for part in key:
        if isinstance(found, type) and issubclass(found, BaseModel):
            found = next((it.annotation for name, it in found.model_fields.items() if (it.alias or name) == part), None)
            found = _table_or_entries(found)
        elif isinstance(found, tuple):
            found = _table_or_entries(found[0])
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in found.model_fields.items()}


def _table_or_entries(annotation: Any) -> Any:
    """A table as it is; for lists and tables of further ones a tuple with the type of their entries."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    arguments = get_args(annotation)
    if get_origin(annotation) in (dict, list):
        return arguments[-1:]
    for argument in arguments:
        if (found := _table_or_entries(argument)) is not None:
            return found
    return None
