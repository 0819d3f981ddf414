"""Counts the words of the documentation's sentences: none may have over 40, and half must have under 17.

`python docs/prose.py` is part of `make check`; `--all` lists every page with its figures. Code, tables, headings, HTML
and the addresses of links do not count. A colon ends no sentence.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]

#: The most words of a sentence, and the words that at least half of the sentences stay under.
MOST_WORDS, HALF_UNDER = 40, 17

#: Pages with fewer sentences are not judged by their half.
FEW = 8

_NOT_PROSE = re.compile(r"```.*?```|<!--.*?-->|<[^>]+>", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n\s*(?:[-*]|\d+\.)\s+")


def pages() -> Iterator[Path]:
    """The pages that people read; the changelog is a list."""
    yield from (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
    yield from (ROOT / "sandbox" / "README.md", ROOT / "workers" / "celery_patches" / "README.md")


def sentences(text: str) -> list[str]:
    """The sentences of a page."""
    text = _NOT_PROSE.sub("", text)
    kept = [line for line in text.splitlines() if not line.lstrip().startswith(("|", "#", "!!!", ":::", "    "))]
    text = _LINK.sub(r"\1", "\n".join(kept))
    found = (" ".join(part.split()).lstrip("-*0123456789. ") for part in _END.split(text))
    return [sentence for sentence in found if len(sentence.split()) > 1]


def problems(name: str, text: str) -> Iterator[str]:
    """What is wrong with a page."""
    lengths = [len(sentence.split()) for sentence in sentences(text)]
    for sentence, words in zip(sentences(text), lengths, strict=True):
        if words > MOST_WORDS:
            yield f"{name}: {words} words, {MOST_WORDS} at most: {sentence[:100]} ..."
    short = sum(words < HALF_UNDER for words in lengths)
    if len(lengths) >= FEW and 2 * short < len(lengths):
        yield f"{name}: {short} of {len(lengths)} sentences have under {HALF_UNDER} words, half must"


def main(arguments: list[str]) -> int:
    """Print what is wrong; 1 where anything is."""
    found: list[str] = []
    for page in pages():
        text, name = page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))
        found += problems(name, text)
        if "--all" in arguments:
            lengths = [len(sentence.split()) for sentence in sentences(text)] or [0]
            sys.stdout.write(f"{name}: {len(lengths)} sentences, median {median(lengths):g}, longest {max(lengths)}\n")
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
