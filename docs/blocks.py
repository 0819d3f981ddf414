"""Writes the parts of pages that follow from tables in the code: `python docs/blocks.py`. A test compares them.
After a change of the state diagram run `python docs/draw.py`, too: the site shows a picture of it.

A part stands between two comments of its name, `<!-- states -->` and `<!-- /states -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from bide.ledger.schema import AT_PROVIDER, EVERY, FIELDS, OWN, diagram
from bide.providers.credit import FOR_LONG, PHRASES

DOCS = Path(__file__).parent

#: How the table says the sets of states that many fields have in common.
_COMMON = {OWN: "all but `following`", EVERY: "all", AT_PROVIDER: "`running`"}


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


def credit() -> str:
    """The table of words for used-up credit."""
    rows = [f"| {words} | {source} |" for phrase in (*PHRASES, FOR_LONG) for words, source in phrase.seen]
    return "\n".join(["| words, for example | seen at |", "| --- | --- |", *rows])


#: The generated parts, by the page that has each and the name of its comments.
BLOCKS = {
    (DOCS / "architecture.md", "states"): states,
    (DOCS / "reference" / "ledger.md", "fields"): fields,
    (DOCS / "reference" / "providers.md", "credit"): credit,
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
