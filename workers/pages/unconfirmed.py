"""The buttons that settle unconfirmed jobs: each asks first, and the record keeps who pressed it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from bide.cli.unconfirmed import described
from bide.contract import JOB_ID, JobState
from bide.errors import InvalidRequestError, StorageError
from bide.ledger import Ledger, Record
from bide.ledger.identity import read_state
from bide.ledger.safety import announced_receipts
from bide.receipts import write_attached
from workers.pages.candidates import NoEvidenceError, candidates
from workers.pages.site import USER, Site, form_of, redirect

log = structlog.get_logger()

#: A provider's id, as an operator may name it.
PROVIDER_JOB_ID = re.compile(r"[!-~]{1,256}")

#: How long the providers' answers serve all who ask [seconds].
EVIDENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Action:
    """One button: what it asks, and what it does when the answer is yes."""

    name: str
    title: str
    question: str
    sure: str
    does: Callable[[Ledger, Record, str, str], bool]


def _attach(ledger: Ledger, record: Record, by: str, provider_job_id: str) -> bool:
    return ledger.unconfirmed.attach(record.account, record.job_id, provider_job_id, by=by)[0]


def _resubmit(ledger: Ledger, record: Record, by: str, _: str) -> bool:
    return ledger.unconfirmed.resubmit(record.account, record.job_id, by=by)[0]


def _give_up(ledger: Ledger, record: Record, by: str, _: str) -> bool:
    return ledger.unconfirmed.give_up(record.account, record.job_id, by=by)[0]


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "attach",
            "Attach the provider's id",
            "The provider accepted it, under this id. The job goes on to its result, and nothing is bought.",
            "This id belongs to this job, and to no other.",
            _attach,
        ),
        Action(
            "resubmit",
            "Submit again",
            "The job is bought again. If the first submit was accepted after all, it is paid for twice.",
            "I have looked at the provider's own list, or accept that it may be paid for twice.",
            _resubmit,
        ),
        Action(
            "give-up",
            "Give up",
            "The job has failed, for good. If the provider made it, it is paid for and lost.",
            "Nobody needs this result any more.",
            _give_up,
        ),
    )
}


class RefusedError(Exception):
    """The button does nothing here; the message is for the operator."""


class UnconfirmedPages:
    """The list of unconfirmed jobs, and a page that asks for each button."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        path = f"/jobs/{{job_id}}/{{action:{'|'.join(ACTIONS)}}}"
        return [web.get("/unconfirmed", self.index), web.get(path, self.ask), web.post(path, self.do)]

    async def index(self, request: web.Request) -> web.Response:
        """All unconfirmed jobs, the oldest first; with the providers' jobs beside them, where they are asked for."""
        jobs = await self._site.reads.shared("unconfirmed", self._unconfirmed)
        evidence: Mapping[str, Any] = {}
        trouble = ""
        asked = "candidates" in request.query
        if asked and jobs:
            try:
                evidence = await self._site.reads.shared_task("candidates", candidates, fresh_seconds=EVIDENCE_SECONDS)
            except NoEvidenceError as error:
                trouble = str(error)
        return await self._site.page(
            request,
            "unconfirmed.html",
            live="" if asked else "unconfirmed",
            jobs=jobs,
            evidence=evidence,
            trouble=trouble,
            asked=asked,
        )

    def _unconfirmed(self) -> list[dict[str, Any]]:
        ledger = self._site.ledger
        return [described(record) for name in ledger.accounts.names() for record in ledger.unconfirmed.doubtful(name)]

    async def ask(self, request: web.Request) -> web.Response:
        """The question before the button."""
        return await self._question(request, request.query.get("provider_job_id", ""))

    async def do(self, request: web.Request) -> web.Response:
        """Do what the button says; the page that asked shows what can't be done."""
        form, action = form_of(request), ACTIONS[request.match_info["action"]]
        provider_job_id = form.get("provider_job_id", "").strip()
        try:
            await self._site.reads.own(self._settle, request, action, provider_job_id)
        except RefusedError as error:
            return await self._question(request, provider_job_id, refused=str(error))
        return redirect(f"/jobs/{request.match_info['job_id']}?done={action.name}")

    async def _question(self, request: web.Request, provider_job_id: str, *, refused: str = "") -> web.Response:
        job_id = request.match_info["job_id"]
        record = await self._site.reads.own(self._record, job_id)
        if not _is_open(record):
            refused = refused or "there is nothing to settle: the job is not, or no longer, unconfirmed"
        return await self._site.page(
            request,
            "settle.html",
            status=409 if refused else 200,
            action=ACTIONS[request.match_info["action"]],
            job_id=job_id,
            job=described(record) if record and _is_open(record) else None,
            provider_job_id=provider_job_id,
            refused=refused,
        )

    def _record(self, job_id: str) -> Record | None:
        record = self._site.ledger.jobs.find(job_id) if JOB_ID.fullmatch(job_id) else None
        return None if record is None or record.following else record

    def _settle(self, request: web.Request, action: Action, provider_job_id: str) -> None:
        record, user = self._record(request.match_info["job_id"]), request[USER]
        if form_of(request).get("sure") != "yes":
            raise RefusedError("nothing was done: say that you are sure")
        if record is None or not _is_open(record):
            raise RefusedError("there is nothing to settle: the job is not, or no longer, unconfirmed")
        if action.name == "attach" and not PROVIDER_JOB_ID.fullmatch(provider_job_id):
            raise RefusedError("name the provider's id of the job, without blanks")
        try:
            done = action.does(self._site.ledger, record, user, provider_job_id)
        except InvalidRequestError as error:  # another job has that id
            raise RefusedError(str(error)) from None
        if not done:
            raise RefusedError("another operator settled it just now")
        if action.name == "attach":
            self._write_receipt(record, provider_job_id)
        log.info("pages.settled", job_id=record.job_id, account=str(record.account), action=action.name, by=user)

    def _write_receipt(self, record: Record, provider_job_id: str) -> None:
        """Have the bucket know the id, too, where the workers write receipts; the job goes on all the same."""
        server = self._site.ledger.server
        if where := announced_receipts(server):
            try:
                ledger_id = read_state(server).id
                write_attached(self._site.storage, where, record, provider_job_id, ledger_id=ledger_id)
            except StorageError as error:
                log.warning("receipts.not_written", reason=str(error)[:300], job_id=record.job_id)


def _is_open(record: Record | None) -> bool:
    """Whether an operator may settle the job."""
    return record is not None and (record.state is JobState.UNCONFIRMED or record.settling)
