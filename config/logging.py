"""Logs: an event name and fields, as JSON lines or pretty on a terminal, and no secret in either."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from typing import Any, Literal, TextIO, TypeVar, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bide.printable import printable, printable_json

T = TypeVar("T")

MASK = "***"

#: Loggers whose INFO lines repeat bide's own, or print whole addresses or arguments.
QUIET = (
    "celery.pool",
    "celery.worker.strategy",
    "celery.app.trace",
    "httpx",
    "httpcore",
    "botocore",
    "boto3",
    "urllib3",
    "s3transfer",
)

#: The most that is logged of a line of Celery's consumer [characters].
MAX_CONSUMER_CHARACTERS = 300

#: A secret shorter than this is not replaced in texts: it would star out half of them [characters].
MIN_SECRET_CHARACTERS = 5

_SECRET_FIELD = re.compile(
    r"(?i)(^|[_-])(api_?-?key|secret(_?access)?_?key|access_?key|authorization|password|passwd|secret|token|cookie|credentials?)$"
)
#: A text without any of these, in small letters, fits none of the patterns below.
_MARKS = ("://", "bearer ", "basic ", "x-amz-", "eyj")
_SECRET_TEXTS = (
    (re.compile(r"(://[^\s:/@]*:)[^\s/]+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic) [A-Za-z0-9+/=._~-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,2}"), MASK),  # a JSON Web Token
    (re.compile(r"(?i)(x-amz-(?:signature|credential|security-token)=)[^&\s\"']+"), rf"\1{MASK}"),
)


class Redaction:
    """A structlog processor that replaces secrets, by the name of their field and by their value."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None

    def register(self, values: Iterable[str]) -> None:
        self._values |= {value for value in values if len(value) >= MIN_SECRET_CHARACTERS}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if self._is_harmless(event):
            return event
        return {name: self._clean(name, value) for name, value in event.items()}

    def clean(self, value: Any) -> Any:
        """Text, numbers, lists and dicts without secrets."""
        return self._clean("", value)

    def _clean(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if _names_a_secret(name):
            return MASK
        if isinstance(value, dict):
            return {key: self._clean(str(key), entry) for key, entry in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean("", entry) for entry in value]
        return self._text(value if isinstance(value, str) else repr(value))

    def _text(self, text: str) -> str:
        for pattern, masked in _SECRET_TEXTS:
            text = pattern.sub(masked, text)
        return self._known.sub(MASK, text) if self._known else text

    def _is_harmless(self, event: EventDict) -> bool:
        """Whether the line can have no secret, as nearly all: this costs a twentieth of a search with each pattern."""
        if any(map(_names_a_secret, event)) or not _PLAIN.issuperset(map(type, event.values())):
            return False
        texts = "\n".join([value for value in event.values() if type(value) is str])
        small = texts.lower()
        return not (any(map(small.__contains__, _MARKS)) or any(map(texts.__contains__, self._values)))


#: Types of values that contain no others.
_PLAIN = frozenset({str, int, float, bool, type(None)})


@lru_cache(1024)
def _names_a_secret(field: str) -> bool:
    return _SECRET_FIELD.search(field) is not None


_redaction = Redaction()


def register_secrets(values: Iterable[str]) -> None:
    """Replace these values in all logs from now on."""
    _redaction.register(values)


def without_secrets(value: T) -> T:
    """A text, or plain data, with every secret replaced: for places other than the log."""
    return cast("T", _redaction.clean(value))


def configure(
    level: str = "INFO",
    format: Literal["auto", "json", "pretty"] = "auto",  # noqa: A002 - as in BIDE_LOG__FORMAT
    *,
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process, structlog's and the standard library's, to `stream` (stdout by default)."""
    out = stream or sys.stdout
    pretty = format == "pretty" or (format == "auto" and out.isatty())
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(pretty=pretty))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*_shared(), *_last(pretty=pretty)],
        logger_factory=partial(_DirectLogger, handler),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )


class _DirectLogger:
    """Writes finished lines to the handler's stream: a way through the standard library costs as much again."""

    def __init__(self, handler: logging.StreamHandler[TextIO], *names: str) -> None:
        self._handler = handler
        self.name = structlog.stdlib.LoggerFactory([__name__])(*names).name  # that of the module it was made in

    def msg(self, line: str) -> None:
        # A full disk is no reason to fail a job: the standard library's handlers go on, too.
        with self._handler.lock or nullcontext(), suppress(OSError, ValueError):
            self._handler.stream.write(f"{line}\n")
            self._handler.flush()

    debug = info = warning = error = critical = msg


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _without_bodies(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out body and headers of a message that Celery refuses: they may contain a caller's picture."""
    if event["logger"].startswith("celery.worker.consumer"):
        event["event"] = event["event"].partition("\n")[0].partition(" headers:")[0][:MAX_CONSUMER_CHARACTERS]
    return event


def _formatter(*, pretty: bool) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared(), structlog.stdlib.PositionalArgumentsFormatter(), _without_bodies],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last(pretty=pretty)],
    )


def _last(*, pretty: bool) -> list[Processor]:
    as_text = structlog.processors.format_exc_info  # and so without the locals of any frame
    if not pretty:
        return [as_text, _redaction, structlog.processors.JSONRenderer(_json_line, ensure_ascii=False)]
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return [as_text, _redaction, _for_a_terminal, console]


def _json_line(event: EventDict, **options: Any) -> str:
    """The event as JSON. What a terminal acts on is escaped, since logs are read on terminals; letters stay."""
    line = json.dumps(event, **options)
    return line if line.isprintable() else printable_json(line)


#: Fields that keep their line breaks on a terminal: tracebacks and other programs' messages have some.
_OF_MANY_LINES = frozenset({"event", "exception", "stack"})


def _for_a_terminal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what would move the cursor or forge a line; the renderer writes texts as they are."""
    return {
        name: printable(value, keep="\n\t" if name in _OF_MANY_LINES else "") if isinstance(value, str) else value
        for name, value in event.items()
    }
