"""The documentation as a site: it builds without a warning, asks no other server, and holds what docstrings say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from bide.settings.model import KNOWN
from bide.settings.variables import variable_name

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it; a warning ends that."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def text_of(page: Path) -> str:
    """What a page says, without its markup."""
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_the_site_asks_no_other_server(site: Path) -> None:
    """Scripts, styles, fonts and pictures are its own: it can be read without a network."""
    loaded = re.compile(r"<(?:script|img|iframe|source)\b[^>]*?\bsrc=\"?([^\s\">]+)|<link\b[^>]*?\bhref=\"?([^\s\">]+)")
    pages = list(site.rglob("*.html"))
    found = {target for page in pages for pair in loaded.findall(page.read_text()) for target in pair if target}
    styles = {url for style in site.rglob("*.css") for url in re.findall(r"url\((\w+://[^)]+)\)", style.read_text())}
    assert len(pages) > 20
    assert {Path(each).suffix for each in found} >= {".js", ".css", ".svg"}
    assert {each for each in found | styles if "://" in each or each.startswith("//")} == set()
    assert [page for page in pages if 'data-md-component="source"' in page.read_text()] == []  # asks GitHub for stars


def test_the_site_shows_pictures_of_diagrams(site: Path) -> None:
    """Material would fetch Mermaid from another server to draw a fence; the pages have pictures, of the site itself."""
    architecture = site / "architecture/index.html"
    pictures = re.findall(r'<img alt="Diagram: [^"]+" src="([^"]+\.svg)"', architecture.read_text(encoding="utf-8"))
    assert len(pictures) == 2
    assert [picture for picture in pictures if not (architecture.parent / picture).is_file()] == []
    assert [page for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text(encoding="utf-8")] == []
    assert "flowchart TB" not in text_of(architecture)


def test_the_reference_is_that_of_the_code(site: Path) -> None:
    """Methods, fields, errors, commands and variables of this very version, with what their docstrings say."""
    texts = {page.parent.name: text_of(page) for page in (site / "reference").glob("*/index.html")}
    for name in ("submit_many", "The record is written first", "AsyncClient"):
        assert name in texts["client"]
    for name in ("idempotency_key", "on_unknown", "submission_unknown", "job.unconfirmed"):
        assert name in texts["contract"] + texts["wire"]
    assert "IdempotencyConflictError" in texts["errors"]
    for name in ("bide unconfirmed attach", "bide failed replay", "--older-than"):
        assert name in texts["commands"].replace("\xa0", " ")
    assert "UNSET" not in texts["commands"]  # how click says "no default" to itself
    variables = {variable_name(leaf.path) for leaf in KNOWN if "accounts" not in leaf.path}
    assert {name for name in variables if name.upper() not in texts["settings"].upper()} == set()


def test_links_out_of_the_docs_lead_to_the_repository(site: Path) -> None:
    """A page may link to a file beside `docs`; the site has the address of that file in the repository instead."""
    assert 'href="https://github.com/bide-dev/bide/blob/main/README.md"' in (site / "bulk/index.html").read_text()


def test_schemas_lie_beside_the_pages(site: Path) -> None:
    """Under the addresses that the page of the wire links."""
    linked = set(re.findall(r'href="\.\./(\.\./schema/[\w./-]+)"', (site / "reference/wire/index.html").read_text()))
    published = {f"../schema/{path.relative_to(ROOT / 'docs/schema')}" for path in ROOT.glob("docs/schema/**/*.json")}
    assert published
    assert linked == published
    assert [name for name in published if not (site / "reference" / name).is_file()] == []
