"""Links in the documentation lead somewhere: files that exist, and headings or anchors in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "sandbox" / "README.md", ROOT / "workers/celery_patches/README.md"]
)

_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """The targets of a page's links within the repository; what stands in code is none."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    return [target for target in _LINK.findall(text) if "://" not in target and not target.startswith("mailto:")]


def places(page: Path) -> set[str]:
    """What a link into a page can name: its headings as GitHub and the site spell them, and its own anchors."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) for line in re.findall(r"(?m)^#+ (.+)$", text)]
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each names a file that is there and, behind a #, a place in it."""
    lost = []
    for target in links(page):
        name, _, place = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (place and file.suffix == ".md" and place not in places(file)):
            lost.append(target)
    assert lost == []


def test_links_are_found() -> None:
    """The pages are read as they are written: these links are surely there."""
    assert "docs/bulk.md" in links(ROOT / "README.md")
    assert "#alert-bide-unconfirmed" in links(DOCS / "operations.md")


def test_every_page_is_in_the_site_s_list() -> None:
    """And the list names no page that is gone."""

    def named(part: object) -> list[str]:
        if isinstance(part, str):
            return [part]
        parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
        return [name for each in parts for name in named(each)]

    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert sorted(named(site["nav"])) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
