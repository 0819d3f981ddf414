"""Each diagram of the documentation has a picture for the site, and none has a picture of what it was."""

from __future__ import annotations

import pytest
from mkdocs.exceptions import PluginError

from docs.draw import PICTURES, REMEDY, Diagram, all_diagrams, diagrams
from docs.hooks import pictured

PAGE = """# A page

## The way

```mermaid
flowchart TB
    a --> b
```

After it.
"""


def test_each_diagram_has_its_picture() -> None:
    """The name of a picture has the digest of the diagram's text, so that a changed text misses its picture."""
    wanted = {diagram.picture for diagram in all_diagrams()}
    assert wanted
    assert set(PICTURES.glob("*.svg")) == wanted, REMEDY


@pytest.mark.parametrize("diagram", all_diagrams(), ids=lambda diagram: diagram.heading)
def test_a_picture_can_be_shown(diagram: Diagram) -> None:
    """An <img> shows neither HTML inside of an SVG nor anything that the SVG fetches; its paper is white."""
    svg = diagram.picture.read_text(encoding="utf-8")
    assert "background: white" in svg
    assert "foreignObject" not in svg
    assert svg.count("://") == 1  # the name of SVG itself


def test_a_changed_diagram_has_another_picture() -> None:
    """One character is enough; the heading above it is no part of the picture."""
    [(_, diagram)] = diagrams("page.md", PAGE)
    [(_, changed)] = diagrams("page.md", PAGE.replace("a -->", "b -->"))
    [(_, moved)] = diagrams("page.md", PAGE.replace("The way", "A way"))
    assert (diagram.heading, diagram.text) == ("The way", "flowchart TB\n    a --> b\n")
    assert changed.picture != diagram.picture
    assert moved.picture == diagram.picture


def test_the_site_is_not_built_without_a_picture() -> None:
    """The error names the page, the heading and the command that draws."""
    with pytest.raises(PluginError, match=r"page\.md: .*'The way'.*python docs/draw\.py"):
        pictured("page.md", PAGE)


def test_the_site_shows_pictures_in_place_of_diagrams() -> None:
    """Addresses are relative to the page, and what is around a diagram stays."""
    diagram = all_diagrams()[0]
    fence = f"```mermaid\n{diagram.text}```"
    shown = pictured(f"reference/{diagram.page}", f"before\n\n## Here\n\n{fence}\n\nafter\n")
    address = f"../images/diagrams/{diagram.picture.name}"
    assert shown == f"before\n\n## Here\n\n[![Diagram: Here]({address})]({address})\n\nafter\n"
