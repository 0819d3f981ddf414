"""The files of providers: where they lie, and their reading, with all mistakes of all of them at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from re import search

from pydantic import ValidationError

from bide.providers.declared.adapter import Declared, adapter_class
from bide.providers.declared.checks import checked
from bide.providers.declared.mistakes import Mistake, MistakesError, Source, of_validation
from bide.providers.declared.positions import positions
from bide.providers.declared.sections import Document


def read(files: Iterable[Path], shipped: Collection[str] = ()) -> dict[str, type[Declared]]:
    """The adapters of these files by name; `shipped` are names that are taken.

    Raises `MistakesError` with all mistakes of all files.
    """
    adapters, mistakes, first = {}, list[Mistake](), dict[str, Path]()
    for file in files:
        source = _source(file, mistakes)
        if source is None:
            continue
        document, found = compiled(source)
        mistakes += found
        name = _name(source)
        if name:
            mistakes += _name_mistakes(source, name, shipped, first)
            first.setdefault(name, file)
        if document is not None and not found and name:
            adapters[name] = adapter_class(document)
    if mistakes:
        raise MistakesError(mistakes)
    return adapters


def toml_files(folders: Iterable[Path]) -> list[Path]:
    """The files of providers in these folders, in the order of folders and names; a folder may be listed twice."""
    found = {file.resolve(): file for folder in folders for file in sorted(folder.glob("*.toml"))}
    return [*found.values()]


def missing_folders(folders: Iterable[Path]) -> list[Mistake]:
    """A mistake for each folder that was named and is none."""
    remedy = f"correct BIDE_PROVIDERS_PATH: folders with {os.pathsep!r} between them"
    return [Mistake(folder, None, "", "is no folder", remedy) for folder in folders if not folder.is_dir()]


def _source(file: Path, mistakes: list[Mistake]) -> Source | None:
    """A file as it was read; None, with the mistake noted, where it can't be."""
    try:
        content = file.read_bytes()
    except OSError as error:
        mistakes.append(
            Mistake(file, None, "", f"can't be read ({error.strerror})", "make it readable, or take it away")
        )
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mistakes.append(Mistake(file, line, "", "is not UTF-8", "write the file anew as UTF-8"))
        return None
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        mistakes.append(_syntax(file, text, str(error) or "it is nested too deep"))
        return None
    return Source(file, document, positions(text))


def _syntax(file: Path, text: str, message: str) -> Mistake:
    found = search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(found[1]) if found and found[1] else text.count("\n") + 1
    wrong = message[: found.start()] if found else message
    remedy = "keep one of the two" if "overwrite" in wrong or "twice" in wrong else "correct the line"
    return Mistake(file, line, "", f"is not TOML: {wrong[:1].lower()}{wrong[1:]}", remedy)


def compiled(source: Source) -> tuple[Document | None, list[Mistake]]:
    """The tables of a document, None where they are none, and its mistakes."""
    document, mistakes = None, list[Mistake]()
    try:
        document = Document.model_validate(source.document)
    except ValidationError as error:
        mistakes += of_validation(source, error, Document)
    places = {(mistake.line, mistake.key) for mistake in mistakes}
    mistakes += (mistake for mistake in checked(source) if (mistake.line, mistake.key) not in places)
    return document, mistakes


def _name(source: Source) -> str:
    provider = source.document.get("provider")
    name = provider.get("name") if isinstance(provider, Mapping) else None
    return name if isinstance(name, str) else ""


def _name_mistakes(source: Source, name: str, shipped: Collection[str], first: Mapping[str, Path]) -> Iterator[Mistake]:
    key = ("provider", "name")
    if name in shipped:
        yield source.mistake(key, f"{name!r} is the name of a provider that is installed already", "choose another")
    elif name in first:
        yield source.mistake(key, f"{name!r} is the name of {first[name]}, too", "rename one, or take one file away")
    if source.file.stem != name and "/" not in name:
        yield source.mistake(
            key, f"{name!r} is not how the file is named", f"rename the file to {name}.toml, or the name"
        )
