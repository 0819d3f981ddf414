"""PhotoGPT: images, upscaling, videos and model training, each answer in an envelope `status`, `result`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from json import dumps, loads
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bide.errors import AccountRefusedError, PollFailedError, UnreadableAnswerError
from bide.providers import reading
from bide.providers.base import (
    MAX_CURSOR_CHARACTERS,
    Account,
    Answer,
    Call,
    Catalog,
    Failed,
    InputForm,
    Media,
    Operation,
    Params,
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
from bide.providers.refusal import is_bad_key, is_not_found, refusal_by_words

IMAGES, UPSCALING, VIDEOS, TRAINING = "images.generation", "images.upscaling", "videos.generation", "models.train"

#: Fields that may say why something failed: of an envelope, and of a job or model inside one.
ENVELOPE_ERRORS, RESULT_ERRORS = ("message", "err", "error", "detail"), ("error", "errorMessage", "message")

NO_REASON = "the provider gave no reason"


class ImagesParams(Params):
    """A trained model can do with a preset or an input image in place of a prompt."""

    modelID: str = Field(min_length=1)  # noqa: N815 - the provider's spelling, as below
    prompt: str | None = None
    preset: str | None = None
    inputImageId: str | None = None  # noqa: N815
    numImages: int | None = None  # noqa: N815
    aspectRatio: str | None = None  # noqa: N815
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    steps: int | None = None
    options: dict[str, Any] | None = None
    referenceImageURLs: list[str] | None = None  # noqa: N815

    @model_validator(mode="after")
    def _something_to_draw(self) -> Self:
        if not (self.prompt or self.preset or self.inputImageId):
            raise PydanticCustomError("prompt", "prompt is required (a trained model may take preset or inputImageId)")
        return self


class UpscalingParams(Params):
    imageID: str = Field(min_length=1)  # noqa: N815


class VideosParams(Params):
    modelID: str = Field(min_length=1)  # noqa: N815
    prompt: str = Field(min_length=1)
    numVideos: int | None = None  # noqa: N815
    referenceImages: list[dict[str, Any]] | None = None  # noqa: N815
    options: dict[str, Any] | None = None


class TrainingParams(Params):
    """The trigger is a GET without a body: there is no place for anything but an id that stands in its path."""

    model_config = ConfigDict(extra="forbid")

    modelID: str = Field(pattern=r"^[\w:-][\w.:-]*$", max_length=200)  # noqa: N815


@dataclass(frozen=True)
class Packaging:
    """The cursor of a finished job whose videos are playlists: each is made a file, one after the other.

    `ready` holds role and address of what is a file, `waiting` the ids of the rest; `asked`: for the file of the first.
    """

    ready: tuple[tuple[str, str], ...]
    waiting: tuple[str, ...]
    asked: bool = False

    @classmethod
    def from_cursor(cls, cursor: str) -> Packaging | None:
        if not cursor:
            return None
        held = loads(cursor)
        return cls(tuple((role, url) for role, url in held["ready"]), tuple(held["waiting"]), held["asked"])

    @property
    def path(self) -> str:
        return f"/videos/{reading.in_path(self.waiting[0])}/{'download' if self.asked else 'create-download'}"

    def outcome(self, status: str) -> PollOutcome:
        if not self.waiting:
            return Succeeded(tuple(Media(role, url=url) for role, url in self.ready))
        cursor = dumps(asdict(self), separators=(",", ":"))
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            raise UnreadableAnswerError("results whose addresses are too long to remember")
        return Running(status, cursor=cursor)


class PhotoGPT(Provider):
    """Generations are polled as `/jobs/{id}`; a training is polled as its model and leaves no file."""

    name = "photogpt"
    default_base_url = "https://developer.photogptai.com/api"
    operations: ClassVar[Mapping[str, Operation]] = {
        IMAGES: Operation(params=ImagesParams, inputs=InputForm.URL),
        UPSCALING: Operation(params=UpscalingParams),
        VIDEOS: Operation(
            params=VideosParams,
            inputs=InputForm.URL,
            poll_plan=PollPlan(first_seconds=8.0, factor=2.0, cap_seconds=30.0),
            deadline_seconds=3600.0,
        ),
        TRAINING: Operation(
            params=TrainingParams,
            poll_plan=PollPlan(first_seconds=300.0, factor=1.0, cap_seconds=300.0),
            deadline_seconds=7200.0,
            has_outputs=False,
        ),
    }
    poll_plan = PollPlan(first_seconds=5.0, factor=2.0, cap_seconds=30.0)
    #: Nothing is documented: assumed short.
    results_live_seconds = 3600.0
    catalogs: ClassVar[Mapping[str, Catalog]] = {"models": Catalog("The account's models, with their status")}
    error_fields = ENVELOPE_ERRORS
    source = "https://platform.photogptai.com/docs/jobs"

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

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.json()
        if _envelope(body) == "NOK":
            return refusal_by_words(reading.first_text(body, self.error_fields))
        if submission.operation == TRAINING:
            return _training_submitted(body, submission.params["modelID"])
        if job_id := reading.as_id(_result(body).get("jobId")):
            return Submitted(job_id)
        raise UnreadableAnswerError("there is no jobId in it")

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        packaging = Packaging.from_cursor(ticket.cursor)
        if answer.status != 409 or packaging is None or packaging.asked:  # 409 here: it was asked for before
            super().trouble(answer, ticket)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        packaging = Packaging.from_cursor(ticket.cursor)
        if packaging:
            return _packaged(answer, packaging)
        if answer.status == 404:
            return Unknown(self.error_text(answer) or "HTTP 404")
        body = answer.json()
        if _envelope(body) == "NOK":
            return _refused_poll(reading.first_text(body, self.error_fields))
        return (_model if ticket.operation == TRAINING else _job)(_result(body))

    def read_catalog(self, catalog: str, answer: Answer) -> list[dict[str, Any]]:
        body = answer.json()
        if _envelope(body) == "NOK":
            raise UnreadableAnswerError(f"NOK: {reading.first_text(body, self.error_fields) or NO_REASON}")
        return reading.records(body, "result", "models", "items", "data")


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


def _envelope(body: Any) -> str:
    return reading.as_text(body.get("status")).upper() if isinstance(body, dict) else ""


def _result(body: Any) -> dict[str, Any]:
    result = body.get("result") if isinstance(body, dict) else None
    if not isinstance(result, dict):
        raise UnreadableAnswerError("an answer without a result")
    return result


def _training_submitted(body: Any, model_id: str) -> Submitted:
    """The trigger answers with a text, in an envelope or bare, and no job id: the model is what is asked about."""
    if isinstance(body, str) or _envelope(body) == "OK":
        return Submitted(model_id)
    raise UnreadableAnswerError("neither OK nor NOK")


def _refused_poll(reason: str) -> PollOutcome:
    """NOK to a poll is about the asking, unless its words say that there is no such job."""
    if is_not_found(reason):
        return Unknown(reason)
    if is_bad_key(reason):
        raise AccountRefusedError(reason)
    raise PollFailedError(reason or NO_REASON)


def _model(result: dict[str, Any]) -> PollOutcome:
    status = reading.as_word(result.get("status"))
    if status == "ready":
        return Succeeded(())
    if status in ("failed", "error", "deleted"):
        return Failed(reading.first_text(result, RESULT_ERRORS) or f"the model is {status}")
    return Running(status)


def _job(result: dict[str, Any]) -> PollOutcome:
    status = reading.as_word(result.get("status"))
    if status == "failed":
        return Failed((reading.first_text(result, RESULT_ERRORS) or NO_REASON) + _left_over(result))
    if status != "success":
        return Running(status)
    made = [*_made(result.get("images"), "image"), *_made(result.get("videos"), "video")]
    if any(reading.is_playlist(url) and not video_id for _, url, video_id in made):
        raise UnreadableAnswerError("a playlist without a video id")
    ready = tuple((role, url) for role, url, _ in made if not reading.is_playlist(url))
    waiting = tuple(video_id for _, url, video_id in made if reading.is_playlist(url))
    return Packaging(ready, waiting).outcome("video is a playlist")


def _made(value: Any, role: str) -> list[tuple[str, str, str]]:
    """Role, address and id of each record that has an address."""
    entries = [entry if isinstance(entry, dict) else {"url": entry} for entry in reading.listed(value)]
    return [(role, reading.as_url(it["url"]), reading.as_id(it.get("id"))) for it in entries if it.get("url")]


def _left_over(result: dict[str, Any]) -> str:
    """Ids of what a failed job made all the same, so that a person can fetch it."""
    made = [result[name] for name in ("images", "videos") if isinstance(result.get(name), list)]
    ids = [reading.as_id(entry.get("id")) for entries in made for entry in entries if isinstance(entry, dict)]
    return f" (made before it failed: {', '.join(filter(None, ids))})" if any(ids) else ""


def _packaged(answer: Answer, packaging: Packaging) -> PollOutcome:
    """`create-download` is a GET that starts work: asked once, and again only when its file is not known or failed."""
    if not packaging.asked:
        if answer.status == 404:
            raise PollFailedError("HTTP 404 where a video was to be made a file")
        return replace(packaging, asked=True).outcome("file of the video is asked for")
    if answer.status != 404:
        body = answer.json()
        if _envelope(body) != "NOK":
            return _download(_result(body), packaging)
        _refused_poll(reading.first_text(body, ENVELOPE_ERRORS))
    return replace(packaging, asked=False).outcome("file of the video is not known")


def _download(result: dict[str, Any], packaging: Packaging) -> PollOutcome:
    status = reading.as_word(result.get("status"))
    if status in ("failed", "error"):
        return replace(packaging, asked=False).outcome("file of the video failed")
    if status != "ready":
        return packaging.outcome(f"file of the video: {status}")
    url = reading.as_url(result.get("url"))
    if reading.is_playlist(url):
        raise UnreadableAnswerError("a download that is a playlist again")
    return Packaging((*packaging.ready, ("video", url)), packaging.waiting[1:]).outcome("file of the next video")
