"""Draws the diagrams of the pages for the site: `python docs/draw.py`. A test finds a diagram without a picture.

GitHub draws a fence of Mermaid by itself. On the site `docs/hooks.py` puts `images/diagrams/PAGE-DIGEST.svg` in its
place, where the digest is that of the fence's text. The command needs npm, which fetches Mermaid into a temporary
folder, and Chromium, in which Mermaid draws (Debian: `apt-get install npm chromium`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path

DOCS = Path(__file__).parent

#: Where the pictures lie.
PICTURES = DOCS / "images" / "diagrams"

#: What to do where a diagram has no picture, or a picture has no diagram.
REMEDY = "run `python docs/draw.py`, also after `python docs/blocks.py` has changed a diagram"

#: The library, without the kinds of diagrams that want more than one file.
MERMAID = "@mermaid-js/tiny@11.17.2"

#: Labels are text of SVG, since an <img> shows no HTML inside of it. Both fonts are equally wide, so that a label fits
#: its box. With a seed the same text gives the same file.
_OPTIONS = {
    "startOnLoad": False,
    "htmlLabels": False,
    "handDrawnSeed": 1,
    "fontFamily": "DejaVu Sans, Verdana, sans-serif",
    "flowchart": {"useMaxWidth": False},
    "state": {"useMaxWidth": False},
    "sequence": {"useMaxWidth": False},
}

#: How long npm and the browser may take, each [seconds].
_PATIENCE_SECONDS = 120

_FENCE = re.compile(r"^```mermaid\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

_PAGE = """<!DOCTYPE html><meta charset="utf-8"><body><script src="%(library)s"></script><script>
async function draw(texts) {
  const drawn = []
  for (const text of texts) {
    const element = document.createElement("div")
    element.innerHTML = (await mermaid.render("diagram", text)).svg
    drawn.push(new XMLSerializer().serializeToString(element.firstElementChild))
  }
  return drawn
}
mermaid.initialize(%(options)s)
draw(%(texts)s).catch(String).then(answer => {
  document.body.innerHTML = "<pre></pre>"
  document.body.firstElementChild.textContent = JSON.stringify(answer)
})
</script>"""


@dataclass(frozen=True)
class Diagram:
    """One fence of a page."""

    page: str
    heading: str
    text: str

    @property
    def picture(self) -> Path:
        """The SVG; its name has the digest of the text, so that a changed diagram has another."""
        return PICTURES / f"{Path(self.page).stem}-{sha256(self.text.encode()).hexdigest()[:12]}.svg"


def diagrams(page: str, markdown: str) -> Iterator[tuple[re.Match[str], Diagram]]:
    """The diagrams of a page, each with its place."""
    for place in _FENCE.finditer(markdown):
        headings = _HEADING.findall(markdown[: place.start()])
        yield place, Diagram(page, headings[-1] if headings else page, place["text"])


def all_diagrams() -> list[Diagram]:
    """The diagrams of all pages."""
    pages = [(path, path.read_text(encoding="utf-8")) for path in sorted(DOCS.rglob("*.md"))]
    return [one for path, text in pages for _, one in diagrams(path.relative_to(DOCS).as_posix(), text)]


def main() -> int:
    """Draw all diagrams anew, and remove the pictures of those that are gone."""
    found = all_diagrams()
    drawn = _drawn([diagram.text for diagram in found])
    PICTURES.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES.glob("*.svg"):
        picture.unlink()
    for diagram, svg in zip(found, drawn, strict=True):
        diagram.picture.write_text(_tidy(svg), encoding="utf-8")
        sys.stdout.write(f"{diagram.page}, {diagram.heading}: {diagram.picture.relative_to(DOCS)}\n")
    return 0


def _drawn(texts: Sequence[str]) -> list[str]:
    """The SVG of each text, as Mermaid draws it in a browser."""
    with tempfile.TemporaryDirectory(prefix="bide-diagrams-") as folder:
        _run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, MERMAID)
        [library] = Path(folder).glob("node_modules/@mermaid-js/tiny/dist/*.js")
        page = Path(folder) / "page.html"
        filled = _PAGE % {"library": library.as_uri(), "options": json.dumps(_OPTIONS), "texts": json.dumps(texts)}
        page.write_text(filled, encoding="utf-8")
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile")
        dumped = _run("chromium", *options, "--virtual-time-budget=60000", "--dump-dom", page.as_uri())
    answer = re.search(r"<pre>(.*)</pre>", dumped, re.DOTALL)
    svgs = json.loads(unescape(answer[1])) if answer else "the browser has drawn nothing"
    if isinstance(svgs, str):
        sys.exit(svgs)
    return list(svgs)


def _run(program: str, *arguments: str) -> str:
    if not (path := shutil.which(program)):
        sys.exit(f"{program} is not installed")
    command = [path, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)  # noqa: S603 - both programs are named above, in a developer's tool
    if done.returncode:
        sys.exit(f"{program}: {done.stderr}")
    return done.stdout


def _tidy(svg: str) -> str:
    """White paper behind it, for a dark page too; a tenth of a pixel is precise enough, which makes the file small."""
    svg = re.sub(r' data-points="[^"]*"', "", svg)
    svg = re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), svg)
    return svg.replace("<svg ", '<svg style="background: white" ', 1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
