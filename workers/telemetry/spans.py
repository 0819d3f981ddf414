"""A job's steps as spans, drawn from the facts of a step's log line when the step has ended: no span waits open.

A job is one trace. The ids of the trace and of the job's own span are hashes of the job. So the spans of all processes
fit together, and an end that is reported twice is drawn as the same span.
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

#: The steps that are drawn, and the queue whose message each processes.
DRAWN = {"submit": SUBMIT_QUEUE, "store": STORE_QUEUE}

#: Outcomes of a step after which the caller knows how the job ended.
ENDS = ("stored", "failed", "answered", "unconfirmed")

#: Facts about a whole job: attributes of its own span.
OF_A_JOB = ("job_id", "provider", "account", "operation", "provider_job_id", "polls", "objects", "size_bytes")

#: Facts that are no attributes: a span has them in its name, its ids, its status.
NO_ATTRIBUTES = ("step", "trace_id", "code", "exc_info")

NANOSECONDS = 1_000_000_000

_next_ids: ContextVar[tuple[int, int]] = ContextVar("bide_span_ids")


class Ids(RandomIdGenerator):
    """The ids that this context sets for the next span; random ones where it sets none."""

    def generate_trace_id(self) -> int:
        return _next_ids.get((0, 0))[0] or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return _next_ids.get((0, 0))[1] or super().generate_span_id()


@dataclass(frozen=True)
class _Trace:
    """The trace of one job: below the caller's span, or one of its own where the caller has none."""

    record: Record
    caller: SpanContext

    @property
    def trace_id(self) -> int:
        return self.caller.trace_id if self.caller.is_valid else self._number("trace", 16)

    def span_id(self, name: str) -> int:
        return self._number(name, 8)

    def parent_of(self, name: str) -> Context:
        """The parent of the span `name`: the caller's span for the job's own, the job's own for the others."""
        parent = self.caller
        if name != "bide.job":
            own = self.span_id("bide.job")
            parent = SpanContext(self.trace_id, own, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        return trace.set_span_in_context(NonRecordingSpan(parent), Context())

    def _number(self, name: str, size_bytes: int) -> int:
        job = f"{self.record.account} {self.record.job_id} {self.record.text('created')} {name}"
        return int.from_bytes(hashlib.sha256(job.encode()).digest()[:size_bytes])


class Spans:
    """Draws steps through one provider; `polls_of` returns the polls of a job that the ledger remembers."""

    def __init__(self, provider: TracerProvider, *, polls_of: Callable[[Record], Iterable[Poll]]) -> None:
        self._provider, self._polls_of = provider, polls_of
        self._tracer = provider.get_tracer("bide")

    def draw(self, line: StepLog) -> None:
        """Draw a step, and the whole job at its end; the step's line gets the trace's id. Never raises."""
        if line.record is None:
            return
        try:
            self._draw(line, _Trace(line.record, _caller(line.headers)))
        except Exception:  # a span is not worth a job
            log.exception("tracing.broke")

    def close(self) -> None:
        """Send the last spans."""
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
            self._draw_job(of, facts, now=line.ended)

    def _draw_job(self, of: _Trace, facts: Mapping[str, Any], *, now: float) -> None:
        """Draw the job from its creation to its end, and its wait for the provider with the polls as events."""
        record = of.record
        attributes = {name: facts[name] for name in OF_A_JOB if name in facts}
        over = record.number("finished") or now
        submitted, until = record.number("submitted"), record.number("ended") or over
        if 0 < submitted < until:
            span = self._open(of, "bide.wait", submitted, attributes)
            self._add_polls(span, record)
            _close(span, until, {} if record.number("ended") else facts)
        attributes["outcome"] = "failed" if "code" in facts else "succeeded"
        _close(self._open(of, "bide.job", record.number("created") or now, attributes), over, facts)

    def _add_polls(self, span: Span, record: Record) -> None:
        """Add the polls as events, unless the ledger is away: the span itself does not need it."""
        with suppress(LedgerAwayError):
            for poll in self._polls_of(record):
                attributes: dict[str, Any] = {
                    "bide.poll.late_seconds": poll.late_seconds,
                    "bide.poll.said": without_secrets(poll.answer),
                }
                span.add_event("bide.poll", attributes, _nanoseconds(poll.at))

    def _open(
        self,
        of: _Trace,
        name: str,
        began: float,
        facts: Mapping[str, Any],
        *,
        message: Mapping[str, Any] | None = None,
    ) -> Span:
        """Start a span. With `message` it is one of several of the job, and gets a random id; else its id follows."""
        kind = SpanKind.CONSUMER if message else SpanKind.INTERNAL
        shown = without_secrets({name: fact for name, fact in facts.items() if name not in NO_ATTRIBUTES})
        attributes = {f"bide.{name}": fact for name, fact in shown.items()} | dict(message or {})
        mark = _next_ids.set((of.trace_id, 0 if message else of.span_id(name)))
        try:
            return self._tracer.start_span(name, of.parent_of(name), kind, attributes, start_time=_nanoseconds(began))
        finally:
            _next_ids.reset(mark)

    def _sampled(self, of: _Trace) -> bool:
        """Whether to draw the job: the caller's decision, else the sampler's. Every process comes to the same."""
        result = self._provider.sampler.should_sample(of.parent_of("bide.job"), of.trace_id, "bide.job")
        return result.decision is Decision.RECORD_AND_SAMPLE


def _caller(headers: Mapping[str, Any]) -> SpanContext:
    """The caller's span by the W3C headers of its message; an invalid one where they name none."""
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
