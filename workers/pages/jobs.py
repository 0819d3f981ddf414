"""The list of jobs, a job's own page, its picture and its objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from bide.cli.explain import explained
from bide.cli.replays import replayed
from bide.contract import FINAL_STATES, JOB_ID, FailureCode, JobState, Output
from bide.describe import prompt_of
from bide.kinds import kind_of
from bide.ledger import Record
from bide.ledger.processes import running
from bide.ledger.recent import Place
from bide.ledger.snapshot import take_snapshot
from workers.pages import rows
from workers.pages.filters import Filters, read
from workers.pages.site import Site, onward

#: The address of one output of a job.
OBJECT = r"/jobs/{job_id}/objects/{number:\d{1,6}}"

#: The longest prompt that a page shows [characters].
LONGEST_PROMPT = 4000

#: The page's message after a button, by the word in the address.
DONE = {
    "attach": "Attached: the job is polled within seconds, and goes on to its result.",
    "resubmit": "In line to be submitted again, within seconds.",
    "give-up": "Given up: the job has failed.",
}


@dataclass(frozen=True)
class _Listed:
    """A page of the list, without the requests of its jobs."""

    rows: tuple[rows.Row, ...]
    behind: Place | None
    whole: bool


class JobPages:
    """The pages about jobs."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        return [
            web.get("/", self.index),
            web.get("/jobs/{job_id}", self.job),
            web.get(OBJECT, self.object),
            web.get(f"{OBJECT}/thumbnail", self.thumbnail),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """The jobs that the filters leave, the latest first."""
        filters = read(request.query)
        key = ("jobs", filters.wanted, filters.limit, filters.behind)
        listed = await self._site.reads.shared(key, lambda: self._listed(filters))
        names = await self._site.reads.shared("accounts", self._site.ledger.accounts.names)
        return await self._site.page(
            request,
            "jobs.html",
            live="" if filters.behind else "jobs",
            status=400 if filters.problems else 200,
            filters=filters,
            listed=listed,
            states=[*JobState],
            codes=[*FailureCode],
            providers=sorted({name.provider for name in names}),
        )

    def _listed(self, filters: Filters) -> _Listed:
        page = self._site.ledger.recent.page(filters.wanted, most=filters.limit, behind=filters.behind)
        found = tuple(rows.row_of(each, self._site.prices) for each in page.jobs)
        return _Listed(found, page.behind, page.whole)

    async def job(self, request: web.Request) -> web.Response:
        """What happened to one job, and what to do."""
        job_id = request.match_info["job_id"]
        record = await self._site.reads.own(self._record, job_id)
        if record is None:
            return await self._site.page(
                request, "no_job.html", status=404, job_id=job_id, sheet=rows.place_on_sheet(job_id)
            )
        story = await self._site.reads.own(self._story, record)
        done = DONE.get(request.query.get("done", ""), "")
        live = "" if record.state in FINAL_STATES else "jobs"
        return await self._site.page(request, "job.html", live=live, done=done, asked_for=job_id, **story)

    def _record(self, job_id: str) -> Record | None:
        """The record of a job, or of the one whose result it waits for."""
        record = self._site.ledger.jobs.find(job_id) if JOB_ID.fullmatch(job_id) else None
        if record and record.following:
            return self._site.ledger.jobs.read(record.account, record.following)
        return record

    def _story(self, record: Record) -> dict[str, Any]:
        ledger = self._site.ledger
        again_as = replayed(ledger, [record.job_id]).get(record.job_id)
        story = explained(take_snapshot(ledger, record), running(ledger.server), replayed_as=again_as)
        params = record.request.params if record.request_json else {}
        return {
            "job": story,
            "prompt": rows.cut(prompt_of(params), LONGEST_PROMPT),
            "created": record.number("created"),
            "next_at": datetime.fromisoformat(story["next_at"]).timestamp() if story["next_at"] else 0.0,
            "money": rows.paid(record, self._site.prices),
            "outputs": [(output, kind_of(output)) for output in rows.outputs_of(record)],
            "sheet": rows.place_on_sheet(record.job_id) if record.text("run") else None,
        }

    async def thumbnail(self, request: web.Request) -> web.Response:
        """A small picture of one output."""
        thumbnail = await self._site.thumbnails.of(await self._output(request))
        if thumbnail is None:
            raise web.HTTPNotFound(text="there is no thumbnail")
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return web.Response(body=thumbnail, content_type="image/webp", headers=headers)

    async def object(self, request: web.Request) -> web.Response:
        """On to the signed address of one output."""
        output = await self._output(request)
        signed = await self._site.reads.own(self._site.objects.sign, output.uri)
        return onward(signed.url)

    async def _output(self, request: web.Request) -> Output:
        number = int(request.match_info["number"])
        output = await self._site.reads.own(self._site.objects.of_job, request.match_info["job_id"], number)
        if output is None:
            raise web.HTTPNotFound(text="the job has no such object, or is forgotten")
        return output
