"""`python -m tests.browser.page_pictures`: takes the pictures of docs/pages.md anew, of a real deployment."""

from __future__ import annotations

import io
import tempfile
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from tests.browser.chromium import browser
from tests.browser.pages_stage import RUN, PagesRig, Visitor, fill
from tests.browser.screenshots import FOLDER
from tests.integration.caller import Caller
from tests.integration.processes import ROOT

#: Of a picture: enough for a page with thumbnails in it.
COLOURS = 128


def main() -> None:
    """Start everything, let some jobs run, look at each page."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bide-")))
        rig = stack.enter_context(PagesRig(folder))
        filled = fill(rig, stack.enter_context(Caller(rig.redis.url)), folder)
        visitor = Visitor(stack.enter_context(browser()), rig.pages.start()[1])
        _take(visitor, "jobs", "/", width=1280, height=860)
        _take(visitor, "jobs-phone", "/", width=390, height=860, dark=True)
        _take(visitor, "job", f"/jobs/{filled.pair}", width=1280, height=980)
        _take(visitor, "unconfirmed", "/unconfirmed?candidates=yes", width=1280, height=560)
        _take(visitor, "settle", f"/jobs/{filled.unconfirmed}/resubmit", width=1280, height=560)
        _take(visitor, "run", f"/runs/{RUN}", width=1280, height=420)
        _take(visitor, "sheet", f"/objects/runs/{RUN}/index.html", width=1280, height=700, dark=True)
        _take(visitor, "accounts", "/accounts", width=1280, height=560)


def _take(visitor: Visitor, name: str, path: str, *, width: int, height: int, dark: bool = False) -> None:
    """What is seen, in few colours."""
    visitor.look(path, width=width, height=height, dark=dark)
    seen = Image.open(io.BytesIO(visitor.tab.picture())).convert("RGB")
    file = FOLDER / f"pages-{name}.png"
    seen.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
