"""ComfyUI, on a server of one's own: a graph goes into its queue, what became of it stands in its history.

A run costs nothing, so one whose answer is lost is sent again, with the id that bide gave it. The server keeps that id,
and does not compare: two runs of one id are two runs, and the history has the later one. All of it is in memory: a job
that is not there after a restart may have run, and its result will not come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bide.contract import Charged, FailureCause
from bide.errors import UnreadableAnswerError
from bide.params.comfyui import Prompt
from bide.providers import reading
from bide.providers.base import (
    Absent,
    Account,
    Answer,
    Call,
    Canceled,
    Cancels,
    Contract,
    FetchNow,
    Found,
    Idempotency,
    LooksUp,
    Lookup,
    LookupOutcome,
    MediaKind,
    Operation,
    PollOutcome,
    PollPlan,
    Progress,
    Provider,
    Refused,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Ticket,
    Unknown,
)
from bide.providers.comfyui_results import complaints, ended_job, ended_run

#: Cursors: which request is next, and for servers without the jobs API the queue's last word.
LINE, QUEUE, PENDING, RUNNING, HISTORY = "line", "queue", "queue pending", "queue running", "history"

#: The queue has the graphs of all jobs in it, and graphs may hold pictures.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class ComfyUI(Cancels, LooksUp, Provider):
    """GET `/api/jobs/{id}`; where a server is too old for that, `/queue`, and then `/history/{id}`.

    The order matters: a job that ends between the two is found. The first poll finds out which server it is.
    """

    name = "comfyui"
    default_base_url = None
    credentials: ClassVar[tuple[str, ...]] = ()
    operations: ClassVar[Mapping[str, Operation]] = {
        "prompt": Operation(
            params=Prompt,
            kinds=frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.MODEL, MediaKind.TEXT}),
            buys=False,
            # As long as the process lives and 10,000 later jobs have not come: an hour is assumed.
            idempotency=Idempotency(Contract.CLIENT_ID, live_seconds=3600.0),
        ),
    }
    poll_plan = PollPlan(first_seconds=1.0, factor=1.5, cap_seconds=10.0)
    deadline_seconds = 3600.0
    #: One process knows all: what it says is not there is not there. Only a proxy may be mistaken.
    unknown_grace_seconds = 3.0
    shows_after_seconds = 1.0
    error_fields = ("error", "message")
    source = "https://docs.comfy.org/development/comfyui-server/comms_routes"

    def submit_call(self, submission: Submission, account: Account) -> Call:
        own = {"prompt_id": submission.key} if submission.key else {}
        return Call("POST", account.url("/prompt"), headers=_headers(account), json={**submission.params, **own})

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        job_id = reading.in_path(ticket.provider_job_id)
        path, query = {
            "": (f"/api/jobs/{job_id}", {}),
            LINE: ("/api/jobs", {"status": "pending"}),
            HISTORY: (f"/history/{job_id}", {}),
        }.get(ticket.cursor, ("/queue", {}))
        headers = _headers(account)
        return Call("GET", account.url(path), headers=headers, query=query, max_answer_bytes=MAX_ANSWER_BYTES)

    def cancel_call(self, ticket: Ticket, account: Account) -> Call | None:
        """On old servers, what fits the last poll. Those before September 2025 interrupt whatever runs."""
        job_id, headers = ticket.provider_job_id, _headers(account)
        if not ticket.cursor:
            return Call("POST", account.url(f"/api/jobs/{reading.in_path(job_id)}/cancel"), headers=headers, json={})
        if ticket.cursor == RUNNING:
            return Call("POST", account.url("/interrupt"), headers=headers, json={"prompt_id": job_id})
        return Call("POST", account.url("/queue"), headers=headers, json={"delete": [job_id]})

    def lookup_call(self, lookup: Lookup, account: Account) -> Call:
        return self.poll_call(Ticket(lookup.operation, lookup.key, lookup.cursor), account)

    def read_lookup(self, answer: Answer, lookup: Lookup, account: Account) -> LookupOutcome:
        """The job's id is the key. One that is not there may have run before the server was restarted."""
        outcome = self.read_poll(answer, Ticket(lookup.operation, lookup.key, lookup.cursor), account)
        if isinstance(outcome, Unknown):
            return Absent(proves=False)
        if isinstance(outcome, FetchNow) and outcome.cursor != LINE:
            return outcome
        return Found(lookup.key)

    def media_headers(self, account: Account) -> Mapping[str, str]:
        return _headers(account)

    def error_text(self, answer: Answer) -> str:
        """What is wrong with the graph: the error's own words, and those of each node."""
        try:
            body = answer.object()
        except UnreadableAnswerError:
            return super().error_text(answer)
        error = body.get("error")
        own = (error.get("message"), error.get("details")) if isinstance(error, dict) else (error,)
        words = dict.fromkeys(filter(None, map(reading.as_text, own)))
        return reading.as_text([*words, complaints(body)]) or super().error_text(answer)

    def refusal(self, answer: Answer) -> Refused | None:
        refused = super().refusal(answer)
        if refused and answer.status == 400:
            return replace(refused, cause=FailureCause.BAD_INPUT, charged=Charged.NO)
        return refused

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        """A 200 with `node_errors`: outputs were dropped, the others run."""
        body = answer.object()
        job_id = reading.as_id(body.get("prompt_id")) or reading.as_id(body.get("id"))
        if not job_id:
            raise UnreadableAnswerError("there is no prompt_id in it")
        dropped = complaints(body)
        return Submitted(job_id, handle={"dropped": dropped} if dropped else None)

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        if ticket.cursor != LINE:  # a job whose place is not to be had is pending all the same
            super().trouble(answer, ticket)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if not ticket.cursor:
            return _job(answer, ticket, account)
        if ticket.cursor == LINE:
            return Running("pending", progress=_place_in_line(answer, ticket.provider_job_id))
        if ticket.cursor == HISTORY:
            return _history(answer, ticket, account)
        return _queue(answer, ticket)

    def read_cancel(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        """The old calls answer with nothing. A job that has left the queue may be running: it is asked for again."""
        if ticket.cursor:
            interrupted = ticket.cursor == RUNNING and answer.status == 200
            return Canceled.REQUESTED if interrupted else Canceled.UNKNOWN
        cancelled = answer.object().get("cancelled") if answer.status == 200 else None
        if not isinstance(cancelled, bool):
            return Canceled.UNKNOWN
        return Canceled.REQUESTED if cancelled else Canceled.TOO_LATE


def _headers(account: Account) -> dict[str, str]:
    """The server wants no key; a proxy before it may."""
    return account.bearer if account.api_key else {}


def _job(answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
    """From the jobs API; a 404 that is not its own comes from a server without one."""
    if answer.status == 404:
        return _unknown_job(answer)
    body = answer.object()
    status = reading.as_word(body.get("status"))
    if status == "pending":
        return FetchNow(LINE)
    return ended_job(body, status, ticket, account) or Running(status)


def _unknown_job(answer: Answer) -> PollOutcome:
    try:
        return Unknown(reading.as_text(answer.object().get("error")) or "HTTP 404")
    except UnreadableAnswerError:
        return FetchNow(QUEUE)


def _queue(answer: Answer, ticket: Ticket) -> PollOutcome:
    """Running, pending, or neither: then it has ended. Each entry is a list: number, id, graph, ..."""
    if answer.status == 404:
        return Unknown("HTTP 404 where the queue should be: is this the address of a ComfyUI?")
    body = answer.object()
    running, pending = (_entries(body, name) for name in ("queue_running", "queue_pending"))
    ids = [job_id for _, job_id in sorted(pending, key=lambda entry: entry[0])]
    if ticket.provider_job_id in [job_id for _, job_id in running]:
        return Running("in_progress", RUNNING)
    if ticket.provider_job_id in ids:
        return Running("pending", PENDING, Progress(position=ids.index(ticket.provider_job_id)))
    return FetchNow(HISTORY)


def _entries(body: dict[str, Any], name: str) -> list[tuple[float, str]]:
    """Number and id of each job; raises where the queue is none."""
    entries = body.get(name)
    if not isinstance(entries, list):
        raise UnreadableAnswerError(f"there is no {name} in it")
    return [(_number(entry[0]), reading.as_id(entry[1])) for entry in entries if isinstance(entry, list) and entry[1:]]


def _place_in_line(answer: Answer, job_id: str) -> Progress | None:
    """How many pending jobs come before it; None where the list does not have it, or can't be read."""
    try:
        jobs = reading.records(answer.object(), "jobs")
    except UnreadableAnswerError:
        return None
    ids = [reading.as_id(job.get("id")) for job in sorted(jobs, key=lambda job: _number(job.get("priority")))]
    return Progress(position=ids.index(job_id)) if job_id in ids else None


def _number(value: Any) -> float:
    """What the queue is sorted by; the smallest is next."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63
    return float(value) if usable else 0.0


def _history(answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
    if answer.status == 404:
        return Unknown("HTTP 404")
    entry = answer.object().get(ticket.provider_job_id)
    if entry is None:
        return Unknown("neither in the queue nor in the history: the server may have been restarted")
    if not isinstance(entry, dict):
        raise UnreadableAnswerError("an entry of the history that is no object")
    return ended_run(entry, ticket, account)
