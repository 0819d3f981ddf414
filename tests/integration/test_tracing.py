"""One trace per job: from the caller's span to the stored object, drawn by real processes for a real collector."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bide.client import Client
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.collector import Collector, Drawn
from tests.integration.rig import CALLBACK_SECRET, FLOWER_PASSWORD, KEYS, Rig
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("a service")

JOB = {"bide.job", "bide.submit", "bide.wait", "bide.store"}


class TracedRig(Rig):
    """A deployment that sends its traces to a collector."""

    collector: Collector

    def environment(self) -> dict[str, str]:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        return {**super().environment(), **variables, "OTEL_EXPORTER_OTLP_HEADERS": "x-collector=hush-collector"}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedRig]:
    """A deployment with worker, poller and collector."""
    rig = TracedRig(tmp_path_factory.mktemp("traced"))
    with Collector() as rig.collector, rig:
        yield rig


@pytest.fixture(scope="module")
def caller(traced: TracedRig) -> Iterator[Caller]:
    """A service that submits jobs by a Celery app of its own."""
    with Caller(traced.redis.url) as caller:
        yield caller


def drawn(rig: TracedRig, job_id: str, names: set[str]) -> dict[str, Drawn]:
    """The spans of a job, once all of those names have come."""

    def complete() -> dict[str, Drawn] | None:
        found = rig.collector.about(job_id)
        return found if names <= found.keys() else None

    return eventually(complete, what=f"{sorted(names)} of {job_id} are drawn")


def ids_of(span: Span) -> tuple[str, str]:
    """Trace and span, as the wire writes them."""
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def test_a_job_is_one_trace_below_its_callers_span(traced: TracedRig) -> None:
    """The client's span, the job, its submit, its wait with each poll, its store: one trace, linked and in order."""
    prompt = marker()
    span = TRACER.start_span("checkout")
    with Client(traced.redis.url) as client:
        with use_span(span, end_on_exit=True):
            job_id = client.submit(image(prompt))
        result = client.wait(job_id, timeout_seconds=60)

    spans = drawn(traced, job_id, JOB)
    trace_id, above = ids_of(span)
    job, submit, wait, store = (spans[name] for name in ("bide.job", "bide.submit", "bide.wait", "bide.store"))
    assert {each.trace_id for each in spans.values()} == {trace_id}
    assert job.parent_id == above
    assert {each.parent_id for each in (submit, wait, store)} == {job.span_id}
    assert job.began <= submit.began <= submit.ended <= store.ended
    assert submit.began <= wait.began < wait.ended <= store.ended

    polls = [event for event in wait.events if event[0] == "bide.poll"]
    assert len(polls) == wait.attributes["bide.polls"] == result.polls >= 1
    assert all(wait.began <= at <= wait.ended + 1 for _, at, _ in polls)
    assert polls[-1][2]["bide.poll.said"] == "succeeded"
    assert all(attributes["bide.poll.late_seconds"] < 60 for _, _, attributes in polls)
    assert wait.attributes["bide.provider_job_id"] == result.provider_job_id
    assert (submit.attributes["messaging.system"], submit.attributes["messaging.message.id"]) == ("celery", job_id)
    assert store.attributes["messaging.destination.name"] == "bide.store"
    assert store.attributes["bide.size_bytes"] == sum(output.size for output in result.outputs)
    assert traced.collector.services == {"bide"}


def test_the_trace_of_a_foreign_producer_is_taken_up(traced: TracedRig, caller: Caller) -> None:
    """OpenTelemetry's instrumentation of Celery puts `traceparent` into the headers: it is found there, to the end."""
    span = TRACER.start_span("foreign")
    headers: dict[str, str] = {}
    with use_span(span, end_on_exit=True):
        TraceContextTextMapPropagator().inject(headers)
    result = caller.submit(image(marker()), headers=headers)
    succeeded(result)

    spans = drawn(traced, str(result.id), JOB)
    trace_id, above = ids_of(span)
    assert {each.trace_id for each in spans.values()} == {trace_id}
    assert spans["bide.job"].parent_id == above


def test_a_job_without_a_callers_trace_has_one_of_its_own(traced: TracedRig, caller: Caller) -> None:
    """The spans of all processes are of one trace, whose root is the job."""
    result = caller.submit(image(marker()))
    succeeded(result)

    spans = drawn(traced, str(result.id), JOB)
    assert len({each.trace_id for each in spans.values()}) == 1
    assert spans["bide.job"].parent_id == ""
    lines = [json.loads(line) for line in traced.worker.output().splitlines() if f'"{result.id}"' in line]
    steps = [line for line in lines if line["event"] == "job.step" and line["outcome"] != "ignored"]
    outcomes = [(line["step"], line["outcome"]) for line in steps if line["outcome"] != "put_off"]  # on a busy machine
    assert outcomes == [("submit", "submitted"), ("store", "stored")]
    assert {line["trace_id"] for line in steps} == {spans["bide.job"].trace_id}


def test_a_failed_job_says_why_without_its_prompt(traced: TracedRig, caller: Caller) -> None:
    """The whole job is drawn as failed, with its code."""
    result = caller.submit(image(marker(), account="refused"))
    assert failure(result)["code"] == "unauthorized"

    job = drawn(traced, str(result.id), {"bide.job", "bide.submit"})["bide.job"]
    assert job.attributes["error.type"] == "unauthorized"
    assert job.attributes["bide.outcome"] == "failed"


def test_nothing_secret_is_in_any_trace(traced: TracedRig, caller: Caller) -> None:
    """No key, no prompt, no address with its query; and the collector's own key is in no log."""
    prompt = marker()
    result = caller.submit(image(prompt, metadata={"order": "hush-metadata"}))
    succeeded(result)
    drawn(traced, str(result.id), JOB)

    sent = b"".join(traced.collector.raw)
    secrets = [*KEYS.values(), CALLBACK_SECRET, FLOWER_PASSWORD, traced.store.environment()["AWS_SECRET_ACCESS_KEY"]]
    private = [prompt, "fox-", "hush-metadata", "X-Amz-", "http://", "traceparent"]
    found = [text for text in (*secrets, *private) if len(text) > 3 and text.encode() in sent]
    assert found == []
    assert b"hush-collector" in sent, "the headers were sent, and so the test looks at what it should"
    assert "hush-collector" not in "".join(text for _, text in traced.logs())
