"""Traces by OpenTelemetry where the environment asks for them (docs/tracing.md); else nothing of it is imported."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from celery.signals import worker_init, worker_shutdown

from bide.ledger import Record
from bide.ledger.snapshot import Poll, look
from config.logging import register_secrets
from workers.telemetry.redaction import redact
from workers.telemetry.step_log import draw_with
from workers.toolbox import toolbox

if TYPE_CHECKING:
    from workers.telemetry.spans import Spans

log = structlog.get_logger()

#: Any of these names a place for traces; the SDK reads them, and all other OTEL_* variables, by itself.
PLACES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

#: Hold keys of whoever takes the traces.
SECRETS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")

#: How long a worker that stops waits for its last spans to be taken [seconds].
LAST_SPANS_SECONDS = 3.0


def asked_for(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a place for traces."""
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    none = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return not off and not none and any(environ.get(name, "").strip() for name in PLACES)


_running: list[Spans] = []


@worker_init.connect
def start(**_: Any) -> None:
    """Have all steps of this process drawn, if the environment asks for it and the packages are there."""
    if not asked_for(os.environ):
        return
    register_secrets(part for name in SECRETS for part in _values(os.environ.get(name, "")))
    try:
        from workers.telemetry.otel import provider_from  # noqa: PLC0415 - optional, and slow to import
        from workers.telemetry.spans import Spans  # noqa: PLC0415 - as above

        _running.append(Spans(provider_from(os.environ), heard=_heard))
    except ImportError as error:
        log.error("tracing.unavailable", missing=error.name, remedy="pip install 'bide[otel]', or unset OTEL_*")
    except Exception as error:  # the SDK's own complaints about OTEL_*: jobs matter more
        log.error("tracing.unavailable", reason=str(error), remedy="correct the OTEL_* variables")
    else:
        draw_with(_running[-1].draw)


@worker_shutdown.connect
def stop(**_: Any) -> None:
    """Send what is left; whoever does not take it in time misses it."""
    draw_with(None)
    while _running:
        last = threading.Thread(target=_running.pop().close, name="last-spans", daemon=True)
        last.start()
        last.join(LAST_SPANS_SECONDS)


def _heard(record: Record) -> Iterator[Poll]:
    """The polls that the ledger remembers: the last dozen or so."""
    for poll in look(toolbox().ledger, record).polls:
        yield Poll(poll.at, poll.late_seconds, redact(poll.said, record.request.params))


def _values(headers: str) -> list[str]:
    """The values in `name=value,name=value`."""
    return [pair.partition("=")[2].strip() for pair in headers.split(",")]
