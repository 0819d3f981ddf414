"""Puts bide's handlers, templates and search into Flower, before it makes its application."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import flower.events
from flower.api.tasks import GetQueueLengths
from flower.urls import handlers
from flower.urls import settings as application_settings
from flower.views.broker import BrokerView
from flower.views.tasks import TasksDataTable, TaskView
from tornado.template import DictLoader
from tornado.web import StaticFileHandler, url

from bide.settings.model import Settings
from workers.flower.jobs import open_jobs
from workers.flower.search import ReasonSearch
from workers.flower.views import JobsTable, JobView, QueueLengths, QueuesView, RevokeQuestion
from workers.server_check import end_on_a_cluster

TEMPLATES, STATIC = Path(__file__).parent / "templates", Path(__file__).parent / "static"

#: Flower's handlers, and those that take their places.
REPLACED: dict[Any, Any] = {
    TaskView: JobView,
    TasksDataTable: JobsTable,
    BrokerView: QueuesView,
    GetQueueLengths: QueueLengths,
}


def install(settings: Settings) -> None:
    """Change what Flower's command makes its application of; to be called from Flower's configuration file."""
    handlers[:] = [*_own(), *map(_replaced, handlers)]
    end_on_a_cluster(settings)
    application_settings.update(
        template_loader=templates(Path(application_settings["template_path"])),
        bide_jobs=open_jobs(settings.ledger_url, sentinel_master=settings.sentinel_master),
        bide_pages_url=settings.pages.url or "",
        bide_version=_version(),
    )
    flower.events.TaskSearchEngine = ReasonSearch


def templates(folder: Path) -> DictLoader:
    """The templates of bide over those of Flower in `folder`, which are also there as `flower/NAME`."""
    theirs = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    ours = {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html")}
    return DictLoader({**{f"flower/{name}": text for name, text in theirs.items()}, **theirs, **ours})


def _own() -> list[Any]:
    return [
        url(r"/bide/static/(.*)", StaticFileHandler, {"path": str(STATIC)}, name="bide-static"),
        url(r"/bide/jobs/(.+)/revoke", RevokeQuestion, name="bide-revoke"),
    ]


def _replaced(entry: Any) -> Any:
    """An entry of Flower's list, a `url` or a tuple, with our handler where we have one."""
    if isinstance(entry, tuple):
        pattern, handler, *rest = entry
        return (pattern, REPLACED.get(handler, handler), *rest)
    ours = REPLACED.get(entry.handler_class)
    return url(entry.regex.pattern, ours, entry.kwargs, entry.name) if ours else entry


def _version() -> str:
    """Changes with the files, so that no browser keeps old ones."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))).hexdigest()[:12]
