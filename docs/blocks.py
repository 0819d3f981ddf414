"""Writes the parts of pages that follow from tables in the code: `python docs/blocks.py`. A test compares them.
After a change of the state diagram run `python docs/draw.py`, too: the site shows a picture of it.

A part stands between two comments of its name, `<!-- states -->` and `<!-- /states -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from bide.ledger.kept import LIVE, PACKED, PLAIN, WHOLE
from bide.ledger.schema import AT_PROVIDER, EVERY, FIELDS, OWN, diagram
from bide.money.expressions import Price
from bide.providers.credit import FOR_LONG, PHRASES
from bide.providers.declared.paths import JsonPath
from bide.providers.declared.request_tables import Table
from bide.providers.declared.sections import TABLES

DOCS = Path(__file__).parent

#: The forms of keys that are no texts.
_FORMS: Mapping[Any, str] = {
    JsonPath: "path",
    dict: "table",
    bool: "true, false",
    int: "number",
    float: "number",
    Price: "price",
    Any: "JSON",
}

#: How the table says the sets of states that many fields have in common.
_COMMON = {OWN: "all but `following`", EVERY: "all", AT_PROVIDER: "`running`"}


#: What becomes of a field once all callers know the end.
_AT_THE_END = ((LIVE, "go"), (PLAIN, "stay"), (WHOLE, "keep the record whole"), (PACKED, "are packed"))


def states() -> str:
    """The state diagram, in a fence."""
    return f"```mermaid\n{diagram()}\n```"


def fields() -> str:
    """The table of a record's fields."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield "| field | kind | what it holds | written by | states |"
    yield "| --- | --- | --- | --- | --- |"
    for field in FIELDS:
        writers = "every script" if field.writers == "*" else ", ".join(dict.fromkeys(field.writers.split()))
        in_states = _COMMON.get(field.states) or ", ".join(f"`{state}`" for state in field.states)
        yield f"| `{field.name}` | {field.kind} | {field.meaning} | {writers} | {in_states} |"


def kept() -> str:
    """The table of what becomes of a record's fields at the end."""
    rows = [f"| {what} | {', '.join(f'`{name}`' for name in names)} |" for names, what in _AT_THE_END]
    return "\n".join(["| at the end | fields |", "| --- | --- |", *rows])


def credit() -> str:
    """The table of words for used-up credit."""
    rows = [f"| {words} | {source} |" for phrase in (*PHRASES, FOR_LONG) for words, source in phrase.seen]
    return "\n".join(["| words, for example | seen at |", "| --- | --- |", *rows])


def keys() -> str:
    """The tables of all keys of a provider's file."""
    return "\n\n".join(f"### `{place}`\n\n{_about(table)}\n\n{_keys(table)}" for place, table in TABLES.items())


def _about(table: type[Table]) -> str:
    """What a table is, without the place that its heading has."""
    text = " ".join((table.__doc__ or "").split())
    words = text.partition(": ")[2] if text.startswith("`") else text
    return words[:1].upper() + words[1:]


def _keys(table: type[Table]) -> str:
    rows = [
        f"| `{field.alias or name}` | {_form_of(field)} | {_default(field)} | {field.description} |"
        for name, field in table.model_fields.items()
    ]
    return "\n".join(["| key | form | default | what it is |", "| --- | --- | --- | --- |", *rows])


def _form_of(field: FieldInfo) -> str:
    return _form(field.annotation, field.metadata)


def _form(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What stands at a key: a path, a word or a list of them, a table ..."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _form(inner, more)
    if get_origin(annotation) in (Union, UnionType):
        return _form(next(part for part in get_args(annotation) if part is not type(None)), metadata)
    kind = get_origin(annotation) or annotation
    if kind in (list, frozenset):
        one = _form(*get_args(annotation)) if kind is list else "text"
        return f"{one}, or a list" if any(isinstance(each, BeforeValidator) for each in metadata) else f"list ({one})"
    return _FORMS.get(kind, "table" if isinstance(kind, type) and issubclass(kind, BaseModel) else "text")


def _default(field: FieldInfo) -> str:
    """What counts where a key is left out."""
    if field.is_required():
        return "required"
    shown = field.default
    if isinstance(shown, BaseModel) or shown is None or shown == "" or (not shown and shown is not False):
        return ""
    if isinstance(shown, list):
        return ", ".join(f"`{entry}`" for entry in shown)
    if isinstance(shown, float):
        return f"`{shown:g}`"
    return f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"


#: The generated parts, by the page that has each and the name of its comments.
BLOCKS = {
    (DOCS / "architecture.md", "states"): states,
    (DOCS / "reference" / "ledger.md", "fields"): fields,
    (DOCS / "reference" / "ledger.md", "kept"): kept,
    (DOCS / "reference" / "providers.md", "credit"): credit,
    (DOCS / "reference" / "provider-files.md", "keys"): keys,
}


def between(name: str) -> re.Pattern[str]:
    """Finds the part of a page between its two comments."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)


def main() -> int:
    """Write all parts anew."""
    for (page, name), make in BLOCKS.items():
        text = page.read_text(encoding="utf-8")
        place = between(name).search(text)
        if not place:
            sys.stderr.write(f"{page.name}: there is nothing between <!-- {name} --> and <!-- /{name} -->\n")
            return 1
        page.write_text(f"{text[: place.start()]}\n{make()}\n\n{text[place.end() :]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
