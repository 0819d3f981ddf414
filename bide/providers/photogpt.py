"""PhotoGPT: images, upscaling, videos and model training, each answer in an envelope `status`, `result`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from bide.errors import UnreadableAnswerError
from bide.params.photogpt import ImagesGeneration, ImagesUpscaling, ModelsTrain, VideosGeneration
from bide.providers import reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Catalog,
    Cost,
    Failed,
    Finished,
    InputForm,
    Listed,
    Listing,
    Operation,
    PollOutcome,
    PollPlan,
    Provider,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
)
from bide.providers.costs import as_cost
from bide.providers.photogpt_files import (
    ENVELOPE_ERRORS,
    Packaging,
    envelope,
    packaged,
    result_of,
)
from bide.providers.refusal import check_busy, refusal_by_words, refused_poll
from bide.providers.states import NO_REASON, is_done, is_failed, no_reason

IMAGES, UPSCALING, VIDEOS, TRAINING = "images.generation", "images.upscaling", "videos.generation", "models.train"

#: Fields of a job or model that may say why it failed.
RESULT_ERRORS = ("error", "errorMessage", "message")


class PhotoGPT(Provider):
    """Generations are polled as `/jobs/{id}`; a training is polled as its model and leaves no file."""

    name = "photogpt"
    default_base_url = "https://developer.photogptai.com/api"
    operations: ClassVar[Mapping[str, Operation]] = {
        IMAGES: Operation(params=ImagesGeneration, inputs=InputForm.URL),
        UPSCALING: Operation(params=ImagesUpscaling),
        VIDEOS: Operation(
            params=VideosGeneration,
            inputs=InputForm.URL,
            poll_plan=PollPlan(first_seconds=8.0, factor=2.0, cap_seconds=30.0),
            deadline_seconds=3600.0,
        ),
        TRAINING: Operation(
            params=ModelsTrain,
            poll_plan=PollPlan(first_seconds=300.0, factor=1.0, cap_seconds=300.0),
            deadline_seconds=7200.0,
            has_outputs=False,
        ),
    }
    poll_plan = PollPlan(first_seconds=5.0, factor=2.0, cap_seconds=30.0)
    #: Nothing is documented: assumed short.
    results_live_seconds = 3600.0
    catalogs: ClassVar[Mapping[str, Catalog]] = {"models": Catalog("The account's models, with their status")}
    #: A training is no job in the list that differs from others: its model says whether it goes on.
    listed_operations = frozenset({IMAGES, UPSCALING, VIDEOS})
    #: A training is polled as its model.
    listed_nameless = frozenset({TRAINING})
    error_fields = ENVELOPE_ERRORS
    source = "https://platform.photogptai.com/docs/jobs"

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        """The model; a training makes a model of its own each time, and takes as long as any other."""
        return "" if operation == TRAINING else reading.as_text(params.get("modelID"))

    def submit_call(self, submission: Submission, account: Account) -> Call:
        if submission.operation == TRAINING:
            path = f"/models/{reading.in_path(submission.params['modelID'])}/train"
            return Call("GET", account.url(path), headers=_headers(account))
        url = account.url("/" + submission.operation.replace(".", "/"))
        return Call("POST", url, headers=_headers(account), json={**submission.params, **_references(submission)})

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        packaging = Packaging.from_cursor(ticket.cursor)
        kind = "models" if ticket.operation == TRAINING else "jobs"
        path = packaging.path if packaging else f"/{kind}/{reading.in_path(ticket.provider_job_id)}"
        return Call("GET", account.url(path), headers=_headers(account))

    def catalog_call(self, catalog: str, arguments: Mapping[str, str], account: Account) -> Call:
        if catalog != "models":
            return super().catalog_call(catalog, arguments, account)
        return Call("GET", account.url("/models"), headers=_headers(account))

    def list_call(self, since: datetime, until: datetime, account: Account, *, page: str = "") -> Call:
        query = {"start": reading.rfc3339(since), "end": reading.rfc3339(until)} | ({"pageToken": page} if page else {})
        return Call("GET", account.url("/jobs"), headers=_headers(account), query=query)

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.json()
        if envelope(body) == "NOK" and not body.get("result"):
            text = reading.first_text(body, self.error_fields)
            return refusal_by_words(text, after_seconds=self.wait_seconds(answer))
        if submission.operation == TRAINING:
            return _training_submitted(body, submission.params["modelID"])
        result = result_of(body)
        if job_id := reading.as_id(result.get("jobId")):
            return Submitted(job_id, cost=_cost(result))
        outcome = _job(result) if is_done(reading.as_text(result.get("status")).lower()) else None
        if isinstance(outcome, Succeeded) and outcome.outputs:
            return Finished("", outcome.outputs, partial=outcome.partial, cost=_cost(result))
        raise UnreadableAnswerError("there is no jobId in it")

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        packaging = Packaging.from_cursor(ticket.cursor)
        if answer.status != 409 or packaging is None or packaging.asked:  # 409 here: it was asked for before
            super().trouble(answer, ticket)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        packaging = Packaging.from_cursor(ticket.cursor)
        if packaging:
            return packaged(answer, packaging)
        if answer.status == 404:
            return Unknown(self.error_text(answer) or "HTTP 404")
        body = answer.json()
        if envelope(body) == "NOK":
            text = reading.first_text(body, self.error_fields)
            return refused_poll(text, after_seconds=self.wait_seconds(answer))
        result = result_of(body)
        if ticket.operation == TRAINING:
            return _model(result)
        return _with_cost(_job(result, self.wait_seconds(answer)), _cost(result))

    def read_catalog(self, catalog: str, answer: Answer) -> list[dict[str, Any]]:
        return reading.records(self._ok(answer), "result", "models", "items", "data")

    def read_list(self, answer: Answer) -> Listing:
        result = result_of(self._ok(answer))
        entries = reading.records(result.get("jobs"))
        jobs = tuple(_listed(entry) for entry in entries if reading.as_id(entry.get("jobId")))
        return Listing(jobs, reading.as_id(result.get("nextPageToken")))

    def _ok(self, answer: Answer) -> Any:
        body = answer.json()
        if envelope(body) == "NOK":
            raise UnreadableAnswerError(f"NOK: {reading.first_text(body, self.error_fields) or NO_REASON}")
        return body


def _headers(account: Account) -> dict[str, str]:
    return {**account.bearer, "API-Version": "1"}


def _references(submission: Submission) -> dict[str, Any]:
    """Input pictures where each call takes them; those of a video are named for their role (`first_frame`)."""
    if not submission.inputs:
        return {}
    if submission.operation == IMAGES:
        urls = [upload.url for upload in submission.inputs.values()]
        return {"referenceImageURLs": [*(submission.params.get("referenceImageURLs") or ()), *urls]}
    given = submission.params.get("referenceImages") or ()
    added = [{"url": it.url, "role": re.sub(r"[_-]?\d+$", "", name)} for name, it in submission.inputs.items()]
    return {"referenceImages": [*given, *added]}


def _training_submitted(body: Any, model_id: str) -> Submitted:
    """The trigger answers with a text, in an envelope or bare, and no job id: the model is what is asked about."""
    if isinstance(body, str) or envelope(body) == "OK":
        return Submitted(model_id)
    raise UnreadableAnswerError("neither OK nor NOK")


def _cost(result: dict[str, Any]) -> Cost | None:
    """The job's credits. The list of jobs is documented to have them; where a single job has them, they are as good."""
    return as_cost(result.get("credits"), "credits")


def _with_cost(outcome: PollOutcome, cost: Cost | None) -> PollOutcome:
    if cost is None or not isinstance(outcome, Running | Succeeded | Failed):
        return outcome
    return replace(outcome, cost=cost)


def _model(result: dict[str, Any]) -> PollOutcome:
    status = reading.as_word(result.get("status"))
    if status == "ready":
        return Succeeded(())
    if is_failed(status):
        return Failed(reading.first_text(result, RESULT_ERRORS) or f"the model is {status}")
    return Running(status)


def _job(result: dict[str, Any], after_seconds: float | None = None) -> PollOutcome:
    status = reading.as_word(result.get("status"))
    if is_failed(status):
        reason = reading.first_text(result, RESULT_ERRORS)
        check_busy(status, reason, after_seconds=after_seconds)
        return Failed((reason or no_reason(status)) + _left_over(result))
    if not is_done(status):
        return Running(status)
    made = [*_made(result.get("images"), "image"), *_made(result.get("videos"), "video")]
    if not made and status != "success":
        return Running(status)
    if any(reading.is_playlist(url) and not video_id for _, url, video_id in made):
        raise UnreadableAnswerError("a playlist without a video id")
    ready = tuple((role, url) for role, url, _ in made if not reading.is_playlist(url))
    waiting = tuple(video_id for _, url, video_id in made if reading.is_playlist(url))
    missing = sum(len(reading.listed(result.get(name))) for name in ("images", "videos")) - len(made)
    return Packaging(ready, waiting, missing=missing).outcome("video is a playlist")


def _made(value: Any, role: str) -> list[tuple[str, str, str]]:
    """Role, address and id of each record that has an address."""
    entries = [entry if isinstance(entry, dict) else {"url": entry} for entry in reading.listed(value)]
    return [(role, reading.as_url(it["url"]), reading.as_id(it.get("id"))) for it in entries if it.get("url")]


def _left_over(result: dict[str, Any]) -> str:
    """Ids of what a failed job made all the same, so that a person can fetch it."""
    made = [result[name] for name in ("images", "videos") if isinstance(result.get(name), list)]
    ids = [reading.as_id(entry.get("id")) for entries in made for entry in entries if isinstance(entry, dict)]
    return f" (made before it failed: {', '.join(filter(None, ids))})" if any(ids) else ""


def _listed(entry: dict[str, Any]) -> Listed:
    return Listed(
        reading.as_id(entry["jobId"]),
        reading.as_text(entry.get("status")).lower(),
        reading.as_moment(entry.get("createdAt")),
        reading.first_text(entry, RESULT_ERRORS),
        reading.as_positive(entry.get("credits")),
        reading.prompt(entry),
        params={"modelID": model} if (model := reading.as_id(entry.get("modelId"))) else {},
    )
