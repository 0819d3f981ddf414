"""What all pages share: templates, reads, the login, and the frame around each page."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bide.bulk.runs import Runs
from bide.ledger import Ledger
from bide.settings.ledgers import Ledgers
from bide.storage import Storage
from workers.pages.access import Guard
from workers.pages.objects import Objects
from workers.pages.reads import Reads
from workers.pages.rows import Prices
from workers.pages.thumbnails import Thumbnails

_TICKED = re.compile(r"`([^`]+)`")

TEMPLATES = Path(__file__).parent / "templates"

#: The name of the user of a request.
USER = web.RequestKey("user", str)

#: The fields of a form that was checked.
FORM: web.RequestKey[Mapping[str, str]] = web.RequestKey("form", dict)


@dataclass(frozen=True)
class Site:
    """The collaborators of all pages."""

    ledger: Ledger
    runs: Runs
    storage: Storage
    guard: Guard
    reads: Reads
    thumbnails: Thumbnails
    prices: Prices
    templates: Environment
    #: The ledgers of other deployments and of this one, where the settings name several.
    ledgers: Ledgers | None = None

    @property
    def objects(self) -> Objects:
        return Objects(self.ledger, self.runs, self.storage)

    async def page(
        self, request: web.Request, template: str, *, live: str = "", status: int = 200, **content: Any
    ) -> web.Response:
        """A whole page. `live`: the subject whose changes have it fetched anew."""
        user = request[USER]
        frame = {
            "user": user,
            "path": request.path,
            "live": live,
            "several": self.ledgers is not None,
            "unconfirmed_count": await self.reads.shared("unconfirmed count", self._count_unconfirmed),
            "token": lambda path: self.guard.token(user, path),
        }
        text = self.templates.get_template(template).render(**frame, **content)
        return web.Response(text=text, content_type="text/html", status=status)

    def _count_unconfirmed(self) -> int:
        return sum(self.ledger.accounts.count_clocks(name)["unconfirmed"] for name in self.ledger.accounts.names())


def environment() -> Environment:
    """The templates: what they are given is escaped, and a name that they are not given is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"code": code, "ago": ago, "moment": moment, "iso": iso, "duration": duration, "size": size}
    return made


def code(text: str) -> Markup:
    """Words of ours, with what stands in `backticks` as code."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def ago(seconds: float) -> str:
    """How long ago a moment was: `12 s ago`, `3 min ago`, `5 h ago`, `2 days ago`."""
    return f"{duration(max(time.time() - seconds, 0.0))} ago"


def duration(seconds: float) -> str:
    """A length of time in one unit."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def moment(seconds: float) -> str:
    """A moment in UTC, to the second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def iso(seconds: float) -> str:
    """A moment as HTML's element `time` wants it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def size(count: int) -> str:
    """A number of bytes."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def redirect(address: str) -> web.Response:
    """The answer after a button: the browser opens that page."""
    return web.Response(status=303, headers={"Location": address})


def onward(url: str) -> web.Response:
    """The way to an object. The signed address goes out byte for byte, which `HTTPFound` would rewrite."""
    return web.Response(status=302, headers={"Location": url})


def form_of(request: web.Request) -> Mapping[str, str]:
    """The fields of the form that was posted, and whose token was checked."""
    return request[FORM]
