"""The calls of adapters and the answers to them, for an account and a job. `outcomes` has what an answer comes to."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from bide.errors import UnreadableAnswerError
from bide.polling.backoff import retry_after_seconds
from bide.printable import plain
from bide.webhooks.incoming import Hooks

#: The most an adapter may remember between two polls of one job [characters].
MAX_CURSOR_CHARACTERS = 16 * 1024

#: The most that an adapter's handle of a job may take in the record, as JSON [bytes].
MAX_HANDLE_BYTES = 16 * 1024

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
    #: The secrets that `Provider.credentials` names besides `api_key`, by name; the two keys of `jwt_bearer`, say.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: When its calls are made, for tokens that live for a while only [seconds since the epoch].
    now: float = field(default=0.0, compare=False)

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
    #: Which submit this is, for operations with an `Idempotency`: kept with the intent, and the same when it is sent
    #: again; a canonical lower-case UUID. '' for other operations.
    key: str = ""


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
    def is_good(self) -> bool:
        """Whether the code is a 2xx."""
        return 200 <= self.status < 300

    @property
    def retry_after_seconds(self) -> float | None:
        return retry_after_seconds(self.headers.get("retry-after"))
