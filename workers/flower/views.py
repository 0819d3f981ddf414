"""The handlers that stand in the place of Flower's own: a job's page, the list of tasks, the queues."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import redis
from celery.events.state import Task
from flower.api.tasks import GetQueueLengths
from flower.utils.tasks import get_task_by_id
from flower.views import BaseHandler
from flower.views.broker import BrokerView
from flower.views.tasks import TasksDataTable, TaskView
from tornado import web
from tornado.escape import xhtml_escape

from bide.cli.advice import ADVICE
from bide.contract import GENERATE_TASK, QUEUES, FailureCode, JobState
from bide.errors import LedgerAwayError
from bide.ledger.processes import RunningProcess
from bide.providers.base import Progress
from config.flower_tasks import MAY_BE_PAID
from workers.flower.jobs import Jobs, JobStory

T = TypeVar("T")

logger = logging.getLogger(__name__)  # as Flower's own

#: The line in Flower's log.
AWAY = "a page is shown without what the ledger knows: %s"

#: What a page says in the place of what the ledger knows.
LEDGER_AWAY = "Redis does not answer: what it knows of the job is missing here. Nothing is lost, try again in a while."

#: Celery's state of a job that Flower has no event of.
UNKNOWN = "UNKNOWN"

#: The colours of Celery's states, as the list of tasks has them.
BADGES = {
    "SUCCESS": "text-bg-success",
    "FAILURE": "text-bg-danger",
    "STARTED": "task-state-started",
    "RETRY": "text-bg-warning",
}

_OBJECT = re.compile(r"s3://[^/\s,…]+/([^\s,…]+)")
_TICKED = re.compile(r"`([^`]+)`")


class JobPages(BaseHandler):  # type: ignore[misc]  # Flower has no types
    """What the handlers share; `settings` are those of the application, where `install` has put ours."""

    @property
    def jobs(self) -> Jobs:
        jobs: Jobs = self.settings["bide_jobs"]
        return jobs

    def page_of(self, job_id: str) -> str:
        """The address of a job on the pages for people; '' where the settings have none."""
        return self._on_pages("jobs", quote(job_id, safe=""))

    def objects_in(self, text: str) -> list[tuple[str, str]]:
        """Each object that a text names, with the address of the pages that signs it; '' where there are none."""
        return [(found[0], self._on_pages("objects", quote(found[1]))) for found in _OBJECT.finditer(text)]

    def _on_pages(self, folder: str, name: str) -> str:
        pages: str = self.settings["bide_pages_url"]
        return f"{pages.rstrip('/')}/{folder}/{name}" if pages else ""

    async def read(self, do: Callable[..., T], *arguments: Any) -> T:
        """The value of a blocking read; raises `LedgerAwayError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self.application.executor, do, *arguments)
        except redis.RedisError as error:  # it answers, and refuses
            raise LedgerAwayError(str(error)) from error


class JobView(JobPages, TaskView):  # type: ignore[misc]  # Flower has no types
    """A job's page. Other tasks have Flower's."""

    @web.authenticated
    async def get(self, task_id: str) -> None:
        """The page of one task."""
        task = get_task_by_id(self.application.events, task_id)
        if task and task.name not in (GENERATE_TASK, None):
            super().get(task_id)
            return
        story, trouble = await self._read_story(task_id)
        if story is None and (task is None or task.name is None):
            super().get(task_id)
            return
        # Without a task its events came before Flower, or too many came after them.
        shown = self.format_task(task or Task(uuid=task_id, state=UNKNOWN))
        if story and shown.state in ("RETRY", UNKNOWN):
            shown.result, shown.kwargs = story.words, shown.kwargs or story.facts["what"]
        named = " ".join(story.objects) if story and story.objects else str(shown.result or "")
        self.render(
            "job.html",
            task=shown,
            job=story.facts if story else None,
            to_do=story.facts["to_do"] if story else _advice(str(shown.result or "")),
            trouble=trouble,
            objects=self.objects_in(named),
            page=self.page_of(story.facts["job_id"] if story else task_id),
            read_only=self.application.options.read_only,
            badge=BADGES.get(shown.state, "text-bg-secondary"),
            progress=_progress(story.facts) if story else "",
            revocable=shown.state in ("RECEIVED", "RETRY") or (shown.state == UNKNOWN and _is_live(story)),
            may_be_paid=MAY_BE_PAID,
            code=code,
        )

    async def _read_story(self, job_id: str) -> tuple[JobStory | None, str]:
        """What the ledger knows of a job, and what the page says where Redis does not answer."""
        try:
            return await self.read(self.jobs.story, job_id), ""
        except LedgerAwayError as error:
            logger.warning(AWAY, error)
            return None, LEDGER_AWAY


class JobsTable(JobPages, TasksDataTable):  # type: ignore[misc]  # Flower has no types
    """The rows of the list: Flower's, with where each waiting job is, and with links."""

    _answer: dict[str, Any] | None = None

    @web.authenticated
    async def get(self) -> None:
        """One page of the list, as JSON."""
        super().get()
        if self._answer is not None:
            await self._complete(self._answer["data"])
            super().write(self._answer)

    def write(self, chunk: Any) -> None:
        """Keep the answer back until it is complete."""
        if isinstance(chunk, dict) and "data" in chunk:
            self._answer = chunk
        else:
            super().write(chunk)

    async def _complete(self, rows: list[dict[str, Any]]) -> None:
        waiting = {row["uuid"]: str(row["kwargs"]) for row in rows if row["state"] == "RETRY" and _is_job(row)}
        where: dict[str, str] = {}
        if waiting:
            try:
                where = await self.read(self.jobs.words, waiting)
            except LedgerAwayError as error:  # the rows say less
                logger.warning(AWAY, error)
        for row in rows:
            row["result"] = where.get(row["uuid"], row["result"])
            row["job_page"] = self.page_of(row["uuid"]) if _is_job(row) else ""
            row["objects"] = self.objects_in(str(row["result"] or "")) if row["job_page"] else []


class AllQueues(JobPages):
    """Lists bide's queues also while no worker serves them, which is when their messages pile up."""

    def get_active_queue_names(self) -> list[str]:
        """Names of queues, in order."""
        return sorted({*QUEUES, *super().get_active_queue_names()})


class QueuesView(AllQueues, BrokerView):  # type: ignore[misc]  # Flower has no types
    """The page of queues, with the processes that serve each."""

    @web.authenticated
    async def get(self) -> None:
        """The page."""
        self._processes: list[RunningProcess] | None = None
        try:
            self._processes = await self.read(self.jobs.processes)
        except LedgerAwayError as error:
            logger.warning(AWAY, error)
        await super().get()

    def render(self, template: str, **content: Any) -> None:
        """Flower's page as ours; an error stays as it is."""
        if template == "broker.html":
            super().render("queues.html", serving=self._serving, **content)
        else:
            super().render(template, **content)

    def _serving(self, queue: str) -> str:
        """The processes that serve a queue; '' where that is not known."""
        if self._processes is None:
            return ""
        return ", ".join(each.node for each in self._processes if queue in each.queues) or "none"


class QueueLengths(AllQueues, GetQueueLengths):  # type: ignore[misc]  # Flower has no types
    """The queues for programs."""


class RevokeQuestion(JobPages):
    """What the button Revoke asks first, as JSON: `question`, '' for nothing."""

    @web.authenticated
    async def get(self, job_id: str) -> None:
        """The question about one job, by what the ledger knows at this moment."""
        try:
            question = await self.read(self.jobs.question, job_id)
        except LedgerAwayError:
            question = f"Redis does not answer: job {job_id} may be paid for.\n\nRevoke it?"
        self.write({"question": question})


def code(text: str) -> str:
    """Words of ours as HTML, with what stands in `backticks` as code."""
    return _TICKED.sub(r"<code>\1</code>", xhtml_escape(text))


def _advice(result: str) -> str:
    """What to do about a failure, by the code that a row's text begins with; '' for any other text."""
    return next((ADVICE[code] for code in FailureCode if result.startswith(f"{code}: ")), "")


def _is_live(story: JobStory | None) -> bool:
    return story is not None and not JobState(story.facts["state"]).final


def _progress(facts: dict[str, Any]) -> str:
    return str(Progress(**facts["progress"])) if facts["progress"] else ""


def _is_job(row: dict[str, Any]) -> bool:
    return row["name"] in (GENERATE_TASK, None)
