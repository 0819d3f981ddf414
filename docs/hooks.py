"""What the site shows besides the pages: tables, pictures of diagrams, and links into the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

from mkdocs.exceptions import PluginError

from bide.cli.advice import ADVICE
from bide.cli.describe import described
from bide.pricing import Quotes
from bide.providers import installed
from bide.settings.model import KNOWN
from bide.settings.variables import Leaf
from docs.draw import DOCS, REMEDY, diagrams

#: Where files lie that the site does not hold.
REPOSITORY = "https://github.com/bide-dev/bide/blob/main"

#: In a page, the places of the tables.
SETTINGS_MARK, CODES_MARK = "<!-- settings -->", "<!-- codes -->"
PARAMS_MARK = "<!-- params -->"

_LINK = re.compile(r"\]\((?P<path>\.\.?/[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Called by mkdocs for each page before it is rendered."""
    docs = Path(config["docs_dir"])
    folder = Path(page.file.src_uri).parent

    def led_out(link: re.Match[str]) -> str:
        target = normpath((folder / link["path"]).as_posix())
        if not target.startswith("../") or (docs / target).resolve().is_relative_to(docs.resolve()):
            return link[0]
        return f"]({REPOSITORY}/{target.removeprefix('../')}{link['anchor'] or ''})"

    made = {SETTINGS_MARK: settings_table, CODES_MARK: codes_table, PARAMS_MARK: params_tables}
    text = _LINK.sub(led_out, pictured(page.file.src_uri, markdown))
    for mark, lines in made.items():
        text = text.replace(mark, "\n".join(lines()))
    return text


def pictured(page: str, markdown: str) -> str:
    """The page with a picture in place of each diagram, which links to itself; without its picture the build fails."""
    for place, diagram in reversed(list(diagrams(page, markdown))):
        if not diagram.picture.is_file():
            raise PluginError(f"{page}: the diagram under {diagram.heading!r} has no picture: {REMEDY}")
        address = relpath(diagram.picture.relative_to(DOCS).as_posix(), Path(page).parent.as_posix())
        image = f"[![Diagram: {diagram.heading}]({address})]({address})"
        markdown = f"{markdown[: place.start()]}{image}{markdown[place.end() :]}"
    return markdown


def settings_table() -> Iterator[str]:
    """Every variable, from the settings themselves: name, default, meaning; those of accounts are their provider's."""
    yield "| variable | default | what it is |"
    yield "| --- | --- | --- |"
    for leaf in (leaf for leaf in KNOWN if "accounts" not in leaf.path):
        name = leaf.named_as(leaf.path).replace("<NAME>", "&lt;NAME&gt;")
        yield f"| <code>{name}</code> | {_default(leaf)} | {_meaning(leaf)} |"


def codes_table() -> Iterator[str]:
    """Every code of a failure, and what `bide explain` advises."""
    yield "| code | what to do |"
    yield "| --- | --- |"
    yield from (f"| `{code}` | {advice} |" for code, advice in ADVICE.items())


def params_tables() -> Iterator[str]:
    """Every operation of every provider with a table of its params, from their own types."""
    for name, adapter in sorted(installed().items()):
        yield f"\n## {name}\n"
        yield f"Source: <{adapter.source}>\n"
        for operation in sorted(adapter.operations):
            facts = described(adapter, operation, Quotes())
            yield f"\n### {name} {operation}\n\n{facts['about']}\n"
            if facts["params"]:
                yield "| param | type | required | what it is |\n| --- | --- | --- | --- |"
                yield from map(_param_row, facts["params"])


def _param_row(param: dict[str, Any]) -> str:
    required = (
        "required" if param["required"] else ("" if param["default"] is None else f"default `{param['default']}`")
    )
    return f"| `{param['name']}` | {param['type']} | {required} | {param['about']} |".replace("\n", " ")


def _default(leaf: Leaf) -> str:
    default = leaf.field.get_default(call_default_factory=False)
    if default is None or str(default) in ("", "()", "PydanticUndefined"):
        return ""
    return f"`{default}`"


def _meaning(leaf: Leaf) -> str:
    description = (leaf.field.description or "").replace("|", "\\|")
    return f"{description}{'; a secret' if leaf.secret else ''}".removeprefix("; ")
