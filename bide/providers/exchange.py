"""What passes between an adapter and the machinery above it: who asks, calls, answers, and what they came to."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from bide.contract import Charged, FailureCause, FailureCode
from bide.errors import UnreadableAnswerError
from bide.polling.backoff import retry_after_seconds
from bide.printable import plain
from bide.providers.progress import Progress
from bide.webhooks.incoming import Hooks

#: The most an adapter may remember between two polls of one job [characters].
MAX_CURSOR_CHARACTERS = 16 * 1024

#: The most that an adapter's handle of a job may take in the record, as JSON [bytes].
MAX_HANDLE_BYTES = 16 * 1024

#: How many copies of an output are remembered and tried besides its own address.
MAX_FALLBACKS = 8

#: The most values in an answer: two bytes of JSON can take a hundred of memory.
MAX_JSON_VALUES = 500_000


def _decoded(body: bytes) -> Any:
    """JSON, also with bytes that are no UTF-8 or bare line breaks in its texts: only those texts are spoilt."""
    try:
        return json.loads(body)
    except ValueError:
        return json.loads(body.decode(json.detect_encoding(body), errors="replace"), strict=False)


def handle_text(handle: Any) -> str:
    """A handle as it stands in the record, '' for None; raises `UnreadableAnswerError` for one that can't be kept."""
    if handle is None:
        return ""
    try:
        text = json.dumps(handle, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        raise UnreadableAnswerError("its handle is no JSON value") from None
    if len(text) > MAX_HANDLE_BYTES:
        raise UnreadableAnswerError(f"its handle has {len(text)} bytes, and {MAX_HANDLE_BYTES} are kept")
    return text


@dataclass(frozen=True)
class Account:
    """Where and as whom to call; the key never shows in a repr."""

    base_url: str
    api_key: str = field(repr=False)
    #: Where the provider can call us when a job has ended; None: nowhere.
    hooks: Hooks | None = None
    #: Words by which this provider says that credit is used up, besides those that `credit` knows.
    credit_words: tuple[str, ...] = ()

    def url(self, path: str) -> str:
        """The address of `path` ("/jobs/7", kept exactly) under the base URL, with or without its trailing slash."""
        return self.base_url.rstrip("/") + path

    def at(self, base_url: str) -> Account:
        """The account where a job was bought; '' for one whose record does not say."""
        return self if base_url in ("", self.base_url) else replace(self, base_url=base_url)

    @property
    def bearer(self) -> dict[str, str]:
        """The header that most providers want the key in."""
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def origin(self) -> str:
        """Scheme, host and port of the base URL."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class Upload:
    """One input picture, in the form its operation asked for: `content` for FILE and BASE64, `url` for URL."""

    name: str
    content: bytes = field(default=b"", repr=False)
    content_type: str = "application/octet-stream"
    url: str = field(default="", repr=False)

    @property
    def base64(self) -> str:
        """The content as base64, without a data-URI prefix."""
        return b64encode(self.content).decode("ascii")


@dataclass(frozen=True)
class Submission:
    """A job about to be bought: params already checked, inputs already fetched."""

    job_id: str
    operation: str
    params: Mapping[str, Any]
    inputs: Mapping[str, Upload] = field(default_factory=dict)


@dataclass(frozen=True)
class Ticket:
    """A job at the provider: what is needed to ask about it."""

    operation: str
    provider_job_id: str
    #: Whatever the adapter wants to remember between polls (`Running.cursor`); at most `MAX_CURSOR_CHARACTERS`.
    cursor: str = ""
    #: True once the provider was seen to know the job.
    seen: bool = False
    #: `Submitted.handle` or `Finished.handle`; None where the answer had none, or an operator attached the job's id.
    handle: Any = field(default=None, repr=False)
    #: `Provider.version` of the adapter that bought it; '' for a job bought by an earlier release of bide.
    version: str = ""


@dataclass(frozen=True)
class Call:
    """One HTTP request, as data. At most one of `json` and `form` is set."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = field(default=None, repr=False)
    #: Fields and files of a multipart body: text, or (file name, bytes, content type).
    form: Mapping[str, str | tuple[str, bytes, str]] | None = field(default=None, repr=False)
    #: Largest answer that is read [bytes].
    max_answer_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """One HTTP response, read whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # names in lower case
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:
        """The body as JSON; raises `UnreadableAnswerError` (never with the body in the message)."""
        if len(self.body) > MAX_JSON_VALUES and sum(map(self.body.count, b"[{,")) > MAX_JSON_VALUES:
            raise UnreadableAnswerError(f"HTTP {self.status} with JSON of more than {MAX_JSON_VALUES} values")
        try:
            return _decoded(self.body)
        except (ValueError, RecursionError) as error:
            kind = plain(self.headers.get("content-type", "no content type"))[:100]
            raise UnreadableAnswerError(
                f"HTTP {self.status} with a body that is not JSON ({kind}, {len(self.body)} bytes)"
            ) from error

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; raises `UnreadableAnswerError`."""
        value = self.json()
        if not isinstance(value, dict):
            raise UnreadableAnswerError(f"HTTP {self.status} with a JSON {type(value).__name__}, not an object")
        return value

    @property
    def retry_after_seconds(self) -> float | None:
        return retry_after_seconds(self.headers.get("retry-after"))


# What a submit came to.


@dataclass(frozen=True)
class Submitted:
    """Accepted: the provider's id, and its estimate of the whole job if it gave one [seconds]."""

    provider_job_id: str
    estimate_seconds: float | None = None
    #: What later calls need besides the id, such as addresses: any JSON value, at most `MAX_HANDLE_BYTES` of it.
    handle: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Media:
    """One output: at `url` (with `fallback_urls` holding the same bytes), or inline as `content`."""

    role: str
    url: str = ""
    content: bytes = field(default=b"", repr=False)
    fallback_urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """Accepted and already done. Without an id nothing can be asked for again: what is inline is stored at once."""

    provider_job_id: str
    outputs: tuple[Media, ...]
    #: As of `Submitted`.
    handle: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Refused:
    """Surely not accepted. `again`: the same submit may be tried later (429, 503); else the job fails with `code`."""

    code: FailureCode
    message: str
    again: bool = False
    after_seconds: float | None = None
    #: Whether any other submit of the account would be refused too: its key is, or its credit is used up.
    whole_account: bool = False
    #: Why, where the provider says it; a moderated submit gets the code `moderated` whatever `code` says.
    cause: FailureCause | None = None
    #: Some providers charge for what they refuse.
    charged: Charged | None = None


# What a list of recent jobs holds.


@dataclass(frozen=True)
class Listed:
    """One job that the provider has, as its list shows it."""

    provider_job_id: str
    status: str
    created_at: datetime | None
    #: What was asked for, in the provider's words, as far as the list says it.
    about: str = ""
    credits: float | None = None
    #: Its prompt, where the list has that.
    prompt: str = ""


@dataclass(frozen=True)
class Listing:
    """One page of them, the latest first; `next_page` is empty on the last."""

    jobs: tuple[Listed, ...]
    next_page: str = ""


# What a poll came to.


@dataclass(frozen=True)
class Running:
    """Still at work; `status` is the provider's own word, `cursor` what to remember for the next poll."""

    status: str
    cursor: str = ""
    #: How far it is, where the provider says so.
    progress: Progress | None = None
    #: When the provider wants to be asked again, at the earliest [seconds]; a Retry-After is taken without it.
    after_seconds: float | None = None


@dataclass(frozen=True)
class FetchNow:
    """The result is there, and another request has it: `poll_call` is asked at once for that, by this cursor."""

    cursor: str


@dataclass(frozen=True)
class Succeeded:
    outputs: tuple[Media, ...]


@dataclass(frozen=True)
class Failed:
    """Over, without a result; cause and charge as far as the provider says them."""

    reason: str
    cause: FailureCause | None = None
    charged: Charged | None = None


@dataclass(frozen=True)
class Unknown:
    """The provider does not know the job (any more)."""

    reason: str = "not found"


# What the cancel of a job came to.


class Canceled(StrEnum):
    """What the provider made of a cancel."""

    #: Surely over: no result will come.
    STOPPED = "stopped"
    #: Taken note of: the job may stop, or end well all the same.
    REQUESTED = "requested"
    #: The job had ended before.
    TOO_LATE = "too late"
    #: The answer does not say: the cancel is sent again with the next poll.
    UNKNOWN = "unknown"


SubmitOutcome = Submitted | Finished | Refused
#: How a job stands, once the requests that a poll leads to are made.
JobOutcome = Running | Succeeded | Failed | Unknown
PollOutcome = JobOutcome | FetchNow
