"""A job's steps as spans: made when a step has ended, from the same facts as its line, so nothing waits open.

One trace per job. Its id and that of the span above all others follow from the job, not from chance: whichever
process draws a span of it, whenever, they fit together, and an end that is told twice is drawn as the same span.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bide.contract import STORE_QUEUE, SUBMIT_QUEUE
from bide.errors import LedgerAwayError
from bide.ledger import Record
from bide.ledger.snapshot import Poll
from config.logging import without_secrets
from workers.telemetry.step_log import StepLog

log = structlog.get_logger()

#: Which steps are drawn, and the queue whose message they process.
DRAWN = {"submit": SUBMIT_QUEUE, "store": STORE_QUEUE}

#: Outcomes of a step after which its job's caller knows the end.
ENDS = ("stored", "failed", "answered", "unconfirmed")

#: Facts about a whole job.
OF_A_JOB = ("job_id", "provider", "account", "operation", "provider_job_id", "polls", "objects", "size_bytes")

#: Facts that a span has by itself: in its name, its ids, its status.
OWN = ("step", "trace_id", "code", "exc_info")

NANOSECONDS = 1_000_000_000

_wanted: ContextVar[tuple[int, int]] = ContextVar("bide_span_ids")


class Ids(RandomIdGenerator):
    """The ids that are wanted in this context; random ones where none is."""

    def generate_trace_id(self) -> int:
        return _wanted.get((0, 0))[0] or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return _wanted.get((0, 0))[1] or super().generate_span_id()


@dataclass(frozen=True)
class _Trace:
    """The trace of one job: below its caller's span, or one of its own where the caller has none."""

    record: Record
    caller: SpanContext

    @property
    def trace_id(self) -> int:
        return self.caller.trace_id if self.caller.is_valid else self._number("trace", 16)

    def span_id(self, name: str) -> int:
        return self._number(name, 8)

    def above(self, name: str) -> Context:
        """What the span `name` stands below: the job's own span below the caller's, the others below that."""
        above = self.caller
        if name != "bide.job":
            own = self.span_id("bide.job")
            above = SpanContext(self.trace_id, own, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        return trace.set_span_in_context(NonRecordingSpan(above), Context())

    def _number(self, name: str, size_bytes: int) -> int:
        job = f"{self.record.account} {self.record.job_id} {self.record.text('created')} {name}"
        return int.from_bytes(hashlib.sha256(job.encode()).digest()[:size_bytes])


class Spans:
    """Draws steps through one provider; `heard` says what polls of a job are remembered."""

    def __init__(self, provider: TracerProvider, *, heard: Callable[[Record], Iterable[Poll]]) -> None:
        self._provider, self._heard = provider, heard
        self._tracer = provider.get_tracer("bide")

    def draw(self, line: StepLog) -> None:
        """Draw a step of a job, and the whole job at its end; the step's line is told the trace. Never raises."""
        if line.record is None:
            return
        try:
            self._draw(line, _Trace(line.record, _caller(line.headers)))
        except Exception:  # a picture is not worth a job
            log.exception("tracing.broke")

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _draw(self, line: StepLog, of: _Trace) -> None:
        if not self._sampled(of):
            return
        line.note(trace_id=f"{of.trace_id:032x}")
        facts = {"job_id": of.record.job_id, **_account(of.record), **line.facts}
        verb = facts.get("step", "")
        if verb in DRAWN:
            span = self._open(of, f"bide.{verb}", line.began, facts, message=_messaging(of, DRAWN[verb]))
            _close(span, line.ended, facts)
        if facts.get("outcome") in ENDS:
            self._whole(of, facts, now=line.ended)

    def _whole(self, of: _Trace, facts: Mapping[str, Any], *, now: float) -> None:
        """The job from its creation to its end, and the wait for its provider with what was heard meanwhile."""
        record = of.record
        told = {name: facts[name] for name in OF_A_JOB if name in facts}
        over = record.number("finished") or now
        submitted, until = record.number("submitted"), record.number("ended") or over
        if 0 < submitted < until:
            span = self._open(of, "bide.wait", submitted, told)
            self._add_polls(span, record)
            _close(span, until, {} if record.number("ended") else facts)
        told["outcome"] = "failed" if "code" in facts else "succeeded"
        _close(self._open(of, "bide.job", record.number("created") or now, told), over, facts)

    def _add_polls(self, span: Span, record: Record) -> None:
        """As events, unless the ledger is away: the spans themselves don't need it."""
        with suppress(LedgerAwayError):
            for poll in self._heard(record):
                said: dict[str, Any] = {
                    "bide.poll.late_seconds": poll.late_seconds,
                    "bide.poll.said": without_secrets(poll.said),
                }
                span.add_event("bide.poll", said, _nanoseconds(poll.at))

    def _open(
        self,
        of: _Trace,
        name: str,
        began: float,
        facts: Mapping[str, Any],
        *,
        message: Mapping[str, Any] | None = None,
    ) -> Span:
        """A span about `message`, of which a job may have several, or else one that it has once."""
        kind = SpanKind.CONSUMER if message else SpanKind.INTERNAL
        told = without_secrets({name: fact for name, fact in facts.items() if name not in OWN})
        attributes = {f"bide.{name}": fact for name, fact in told.items()} | dict(message or {})
        mark = _wanted.set((of.trace_id, 0 if message else of.span_id(name)))
        try:
            return self._tracer.start_span(name, of.above(name), kind, attributes, start_time=_nanoseconds(began))
        finally:
            _wanted.reset(mark)

    def _sampled(self, of: _Trace) -> bool:
        """As the caller, or for a trace that begins here the sampler, has decided; every process finds the same."""
        found = self._provider.sampler.should_sample(of.above("bide.job"), of.trace_id, "bide.job")
        return found.decision is Decision.RECORD_AND_SAMPLE


def _caller(headers: Mapping[str, Any]) -> SpanContext:
    """What the W3C headers of the caller's message say, whoever wrote them; an invalid one where they say nothing."""
    texts = {name: text for name in ("traceparent", "tracestate") if isinstance(text := headers.get(name), str)}
    context = TraceContextTextMapPropagator().extract(texts, Context())
    return trace.get_current_span(context).get_span_context()


def _account(record: Record) -> dict[str, str]:
    return {"provider": record.account.provider, "account": str(record.account), "operation": record.text("op")}


def _messaging(of: _Trace, queue: str) -> dict[str, Any]:
    return {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue,
        "messaging.message.id": of.record.job_id,
    }


def _close(span: Span, ended: float, facts: Mapping[str, Any]) -> None:
    if code := facts.get("code"):
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR, without_secrets(facts.get("reason"))))
    span.end(_nanoseconds(ended))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * NANOSECONDS)
