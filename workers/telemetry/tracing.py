"""Traces by OpenTelemetry where the environment asks for them (docs/tracing.md); else nothing of it is imported."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import structlog

from bide.ledger import Ledger, Record
from bide.ledger.snapshot import Poll, take_snapshot
from config.logging import register_secrets
from workers.telemetry.redaction import redact
from workers.telemetry.step_log import StepLog

if TYPE_CHECKING:
    from workers.telemetry.spans import Spans

log = structlog.get_logger()

#: Any of these names a place for traces; the SDK reads them, and all other OTEL_* variables, by itself.
PLACES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

#: Variables that hold keys of the trace collector.
SECRETS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")

#: How long a worker that stops waits for the collector to take its last spans [seconds].
LAST_SPANS_SECONDS = 3.0


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a place for traces."""
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    none = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return not off and not none and any(environ.get(name, "").strip() for name in PLACES)


class Tracing:
    """The traces of one process, from its start to its end.

    `ledger` gives the ledger, which remembers a job's polls, when a job has ended.
    """

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._ledger = ledger
        self.spans: Spans | None = None

    def start(self, *, environ: Mapping[str, str] = os.environ) -> None:
        """Draw all steps of this process, if the environment asks for it and the packages are installed."""
        if not is_enabled(environ):
            return
        register_secrets(part for name in SECRETS for part in _values(environ.get(name, "")))
        try:
            from workers.telemetry.otel import provider_from  # noqa: PLC0415 - optional, and slow to import
            from workers.telemetry.spans import Spans  # noqa: PLC0415 - it needs the optional packages

            self.spans = Spans(provider_from(environ), polls_of=self._polls_of)
        except ImportError as error:
            log.error("tracing.unavailable", missing=error.name, remedy="pip install 'bide[otel]', or unset OTEL_*")
        except Exception as error:  # the SDK's own complaints about OTEL_*: jobs matter more
            log.error("tracing.unavailable", reason=str(error), remedy="correct the OTEL_* variables")

    def draw(self, step: StepLog) -> None:
        """Draw the span of one step, where the process has traces."""
        if (spans := self.spans) is not None:
            spans.draw(step)

    def stop(self, *, wait_seconds: float = LAST_SPANS_SECONDS) -> None:
        """Send the last spans; those that the collector does not take in time are lost. May be called twice."""
        spans, self.spans = self.spans, None
        if spans is not None:
            sender = threading.Thread(target=spans.close, name="last-spans", daemon=True)
            sender.start()
            sender.join(wait_seconds)

    def _polls_of(self, record: Record) -> Iterator[Poll]:
        """The polls that the ledger remembers: the last dozen or so."""
        for poll in take_snapshot(self._ledger(), record).polls:
            yield Poll(poll.at, poll.late_seconds, redact(poll.answer, record.request.params))


def _values(headers: str) -> list[str]:
    """The values in `name=value,name=value`."""
    return [pair.partition("=")[2].strip() for pair in headers.split(",")]
