"""Spans of a job: drawn by any process at any time, they are one trace, and say nothing that is private."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from bide.errors import LedgerAwayError
from bide.ledger import AccountName, Record
from bide.ledger.snapshot import Poll
from config.logging import register_secrets
from workers.telemetry.spans import Ids, Spans
from workers.telemetry.step_log import StepLog

CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
TRACE, CALLERS_SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331

POLLS = (Poll(103.5, 0.1, "running"), Poll(108.0, 2.5, "succeeded"))

FIELDS = {"state": "storing", "op": "images.generation", "created": "100.0", "submitted": "101.5", "ended": "108.0"}


class Process:
    """One process's hands, and what they have drawn."""

    def __init__(self, *, polls: Sequence[Poll] | Exception = POLLS, sampler: Sampler | None = None) -> None:
        self.exporter, self._polls = InMemorySpanExporter(), polls
        provider = TracerProvider(sampler=sampler, id_generator=Ids(), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans(provider, polls_of=self._polls_of)

    def _polls_of(self, _: Record) -> Sequence[Poll]:
        if isinstance(self._polls, Exception):
            raise self._polls
        return self._polls

    def step(
        self, headers: dict[str, Any], *, job_id: str = "j1", fields: dict[str, str] = FIELDS, **facts: Any
    ) -> StepLog:
        """A step of a job that ran from 109 to 110."""
        line = StepLog("job.step")
        line.record = Record(job_id, AccountName("photogpt", "default"), fields)
        line.headers, line.began, line.ended = headers, 109.0, 110.0
        line.note(**facts)
        self.spans.draw(line)
        return line

    @property
    def drawn(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def process() -> Process:
    """A process that draws all steps."""
    return Process()


def ids(span: ReadableSpan) -> tuple[int, int, int]:
    """Trace, span, and what it stands below; 0 for a root."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id, span.parent.span_id if span.parent else 0


STORED: dict[str, Any] = {"step": "store", "outcome": "stored", "attempt": 1, "polls": 2, "size_bytes": 7}


@pytest.mark.parametrize(("headers", "trace", "above"), [(CALLER, TRACE, CALLERS_SPAN), ({}, 0, 0)])
def test_all_processes_draw_one_trace(headers: dict[str, str], trace: int, above: int) -> None:
    """Submit here, store there: both stand below the job, and that below the caller's span or nothing."""
    here, there = Process(), Process()
    before = {name: FIELDS[name] for name in ("op", "created")}
    here.step(headers, fields=before | {"state": "queued"}, step="submit", outcome="submitted", attempt=1)
    there.step(headers, **STORED)

    assert list(here.drawn) == ["bide.submit"]
    assert sorted(there.drawn) == ["bide.job", "bide.store", "bide.wait"]
    job_trace, job, below = ids(there.drawn["bide.job"])
    assert below == above
    assert trace in (0, job_trace)
    spans = [here.drawn["bide.submit"], there.drawn["bide.wait"], there.drawn["bide.store"]]
    assert {ids(span)[0] for span in spans} == {job_trace}
    assert {ids(span)[2] for span in spans} == {job}
    assert len({ids(span)[1] for span in spans} | {job}) == 4


def test_polls_are_events_of_the_wait(process: Process) -> None:
    """From the submit to the end at the provider, each poll with its answer and its lateness."""
    process.step({}, **STORED)

    wait = process.drawn["bide.wait"]
    assert (wait.start_time, wait.end_time) == (101_500_000_000, 108_000_000_000)
    assert [(event.name, event.timestamp, dict(event.attributes or {})) for event in wait.events] == [
        ("bide.poll", 103_500_000_000, {"bide.poll.late_seconds": 0.1, "bide.poll.said": "running"}),
        ("bide.poll", 108_000_000_000, {"bide.poll.late_seconds": 2.5, "bide.poll.said": "succeeded"}),
    ]
    assert wait.attributes is not None
    assert wait.attributes["bide.polls"] == 2


def test_a_step_says_what_its_line_says(process: Process) -> None:
    """By the names of OpenTelemetry where it has one, by our own elsewhere; and the line names the trace."""
    line = process.step({}, **STORED)

    store = process.drawn["bide.store"]
    assert (store.kind, store.start_time, store.end_time) == (SpanKind.CONSUMER, 109_000_000_000, 110_000_000_000)
    assert dict(store.attributes or {}) == {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "bide.store",
        "messaging.message.id": "j1",
        "bide.job_id": "j1",
        "bide.provider": "photogpt",
        "bide.account": "photogpt/default",
        "bide.operation": "images.generation",
        "bide.outcome": "stored",
        "bide.attempt": 1,
        "bide.polls": 2,
        "bide.size_bytes": 7,
    }
    assert line.facts["trace_id"] == f"{ids(store)[0]:032x}"
    assert process.drawn["bide.job"].status.status_code is StatusCode.UNSET


def test_a_bad_end_is_an_error(process: Process) -> None:
    """The job, and the wait where the provider failed it, with the code of the caller's failure."""
    ended = {**FIELDS, "state": "failed", "finished": "107.0", "ended": ""}
    process.step({}, fields=ended, step="answer", outcome="answered", code="generation_failed", reason="no")

    assert sorted(process.drawn) == ["bide.job", "bide.wait"]
    for span in process.drawn.values():
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no")
        assert (span.attributes or {})["error.type"] == "generation_failed"
        assert span.end_time == 107_000_000_000


def test_what_was_never_bought_has_no_wait(process: Process) -> None:
    """Neither has a result that came with the submit's answer."""
    process.step({}, fields={"state": "failed", "created": "100", "finished": "101"}, step="answer", outcome="answered")
    process.step({}, job_id="j2", fields={**FIELDS, "submitted": "108.0"}, **STORED)

    assert "bide.wait" not in process.drawn


def test_an_end_that_is_reported_twice_is_the_same_span(process: Process) -> None:
    """A second report of the end makes no second job; another job's spans are its own."""
    for _ in range(2):
        process.step({}, step="answer", outcome="answered")
    spans = process.exporter.get_finished_spans()
    assert len({ids(span) for span in spans if span.name == "bide.job"}) == 1

    process.step({}, job_id="j2", step="answer", outcome="answered")
    assert len({ids(span)[0] for span in process.exporter.get_finished_spans()}) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "nonsense"},
        {"traceparent": ["00", "x"]},
        {"traceparent": None, "tracestate": 7},
        {"traceparent": "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
    ],
)
def test_odd_headers_are_no_trace(headers: dict[str, Any], process: Process) -> None:
    """A message's trace headers may be anything: a job with odd ones has a trace of its own."""
    process.step(headers, **STORED)

    assert process.drawn["bide.job"].parent is None


@pytest.mark.parametrize(
    ("headers", "sampler"),
    [
        ({"traceparent": CALLER["traceparent"][:-2] + "00"}, None),
        ({}, ALWAYS_OFF),
        ({}, ParentBasedTraceIdRatio(0.0)),
    ],
)
def test_what_is_not_sampled_is_not_drawn(headers: dict[str, str], sampler: Sampler | None) -> None:
    """The caller decides for its jobs, the sampler for jobs without a decision."""
    process = Process(sampler=sampler)
    line = process.step(headers, **STORED)

    assert process.drawn == {}
    assert "trace_id" not in line.facts


def test_half_of_the_jobs_are_drawn_whole() -> None:
    """Processes that never speak to each other agree about which."""
    here, there = Process(sampler=ParentBasedTraceIdRatio(0.5)), Process(sampler=ParentBasedTraceIdRatio(0.5))
    for number in range(40):
        here.step({}, job_id=f"j{number}", step="submit", outcome="submitted")
        there.step({}, job_id=f"j{number}", **STORED)

    traces = [{ids(span)[0] for span in each.exporter.get_finished_spans()} for each in (here, there)]
    assert traces[0] == traces[1]
    assert 5 < len(traces[0]) < 35


def test_a_span_is_not_worth_a_job() -> None:
    """Nothing that breaks reaches the step; a ledger that is away costs the polls, and not the job's span."""
    with capture_logs() as logs:
        away = Process(polls=LedgerAwayError("away"))
        away.step({}, **STORED)
        Process(polls=RuntimeError("broke")).step({}, **STORED)

    assert sorted(away.drawn) == ["bide.job", "bide.store", "bide.wait"]
    assert not away.drawn["bide.wait"].events
    assert [line["event"] for line in logs] == ["tracing.broke"]


def test_secrets_are_starred_out() -> None:
    """In attributes, events and statuses, as in the step's line; those of names as well."""
    register_secrets(["sk-secret-of-a-span"])
    process = Process(polls=[Poll(103.5, 0.1, "bad key sk-secret-of-a-span")])
    process.step(
        {},
        step="submit",
        outcome="failed",
        code="rejected",
        reason="sk-secret-of-a-span at https://me:hunter2@h/",
        api_key="another",
    )

    texts = "".join(span.to_json() for span in process.drawn.values())
    assert sorted(process.drawn) == ["bide.job", "bide.submit", "bide.wait"]
    for secret in ("sk-secret", "hunter2", "another"):
        assert secret not in texts
    assert process.drawn["bide.job"].status.description == "*** at https://me:***@h/"


def test_a_step_without_a_record_is_no_span(process: Process) -> None:
    """As of a message that was no request."""
    line = StepLog("job.step")
    process.spans.draw(line)

    assert process.drawn == {}
