"""Nextry: pictures go in as multipart files, results come back as paths on the API's own origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import unquote

from bide.errors import InvalidRequestError, UnreadableAnswerError
from bide.params.nextry import GenerateImage
from bide.providers import reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Catalog,
    Failed,
    Finished,
    InputForm,
    Listed,
    Listing,
    Media,
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
    Upload,
)
from bide.providers.refusal import check_busy, refusal_by_words
from bide.providers.states import is_done, is_failed, no_reason

_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
    "image/heic": ".heic",
}


class Nextry(Provider):
    """Submit answers with planned places and a history id; the history says when they hold something."""

    name = "nextry"
    default_base_url = None
    operations: ClassVar[Mapping[str, Operation]] = {
        "generate_image": Operation(params=GenerateImage, inputs=InputForm.FILE),
    }
    poll_plan = PollPlan(first_seconds=2.0, factor=2.0, cap_seconds=30.0)
    catalogs: ClassVar[Mapping[str, Catalog]] = {
        "tools": Catalog("Values of `tool`, in groups"),
        "generation_types": Catalog("Generation types of one tool", arguments=("tool",)),
    }
    listed_operations = frozenset({"generate_image"})
    error_fields = ("error", "error_message", "message", "detail")
    source = "https://doc.nextry.app/docs/generation"

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        return reading.as_text(params.get("tool"))

    def submit_call(self, submission: Submission, account: Account) -> Call:
        fields = {name: _as_field(value) for name, value in submission.params.items() if value is not None}
        files = {name: _as_file(upload) for name, upload in submission.inputs.items()}
        # The slash at the end stays: without it the service redirects, and the body is lost on the way.
        url = account.url("/generation/generate_image_v2/")
        return Call("POST", url, headers=account.bearer, form={**fields, **files})

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        url = account.url(f"/user/generation-history/{reading.in_path(ticket.provider_job_id)}")
        return Call("GET", url, headers=account.bearer)

    def catalog_call(self, catalog: str, arguments: Mapping[str, str], account: Account) -> Call:
        if catalog == "tools":
            return Call("GET", account.url("/generation/tools"), headers=account.bearer)
        if catalog != "generation_types":
            return super().catalog_call(catalog, arguments, account)
        if not arguments.get("tool"):
            raise InvalidRequestError("tool: is required by the catalog generation_types; the catalog tools lists them")
        url = account.url("/generation/generationTypes")
        return Call("GET", url, headers=account.bearer, query={"tool": arguments["tool"]})

    def list_call(self, since: datetime, until: datetime, account: Account, *, page: str = "") -> Call:
        """The history can't be asked for by time: its pages come with the latest first."""
        query = {"page": page or "1", "limit": "100"}
        return Call("GET", account.url("/user/generation-history"), headers=account.bearer, query=query)

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.object()
        if job_id := reading.as_id(body.get("history_item_id")):
            return Submitted(job_id)
        status = reading.as_text(body.get("status")).lower()
        if status == "error":
            text = reading.first_text(body, self.error_fields)
            return refusal_by_words(text, after_seconds=self.wait_seconds(answer))
        if is_done(status) and (outputs := _outputs(body, account.origin)):
            return Finished("", outputs, partial=_missing(outputs))
        raise UnreadableAnswerError("there is no history_item_id in it")

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if answer.status == 404:
            return Unknown(self.error_text(answer) or "HTTP 404")
        body = answer.object()
        status = reading.as_word(body.get("status"))
        outputs = _outputs(body, account.origin) if is_done(status) else ()
        if outputs or status == "complete":
            return Succeeded(outputs, _missing(outputs))
        if is_failed(status):
            reason = reading.first_text(body, self.error_fields)
            check_busy(status, reason, after_seconds=self.wait_seconds(answer))
            return Failed(f"{reason or no_reason(status)} (history item {ticket.provider_job_id})")
        return Running(status)

    def read_catalog(self, catalog: str, answer: Answer) -> list[dict[str, Any]]:
        return reading.records(answer.json(), "items", "data", "tools", "generation_types")

    def read_list(self, answer: Answer) -> Listing:
        body = answer.object()
        items = tuple(_listed(item) for item in reading.records(body, "items") if reading.as_id(item.get("id")))
        page, pages = (reading.as_positive(body.get(name)) or 1 for name in ("page", "pages"))
        return Listing(items, f"{page + 1:.0f}" if items and page < pages else "")


def _as_field(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_file(upload: Upload) -> tuple[str, bytes, str]:
    return (upload.name + _SUFFIXES.get(upload.content_type, ".bin"), upload.content, upload.content_type)


def _outputs(body: dict[str, Any], origin: str) -> tuple[Media, ...]:
    """The full picture first, then the small one; `output_url` stands in where the page's notes are right."""
    full = _address(body.get("stock_url"), origin) or _address(body.get("output_url"), origin)
    small = _address(body.get("preview_url"), origin)
    return tuple(Media(role, url=url) for role, url in (("image", full), ("preview", small)) if url)


def _missing(outputs: tuple[Media, ...]) -> str:
    """A complete item without its full picture: the small one is all that there is."""
    return "the preview alone: the full picture has no address" if [it.role for it in outputs] == ["preview"] else ""


def _address(place: Any, origin: str) -> str:
    """An absolute address as it is, a path with or without its first slash on `origin`; blank stays blank."""
    if place is None or place == "":
        return ""
    if isinstance(place, str) and reading.is_http(place):
        return reading.as_url(place)
    path = place.strip() if isinstance(place, str) else ""
    plain = unquote(path.partition("?")[0])
    if not path or "\\" in plain or "//" in plain or ":" in plain.partition("/")[0] or ".." in plain.split("/"):
        raise UnreadableAnswerError("a result path that leads somewhere else")
    return reading.as_url(f"{origin}/{path.removeprefix('/')}")


def _listed(item: dict[str, Any]) -> Listed:
    """Its `generation_type` is the tool's name."""
    tool = reading.as_text(item.get("generation_type"))
    return Listed(
        reading.as_id(item["id"]),
        reading.as_text(item.get("status")).lower(),
        reading.as_moment(item.get("created_at")),
        tool,
        prompt=reading.prompt(item),
        params={"tool": tool} if tool else {},
    )
