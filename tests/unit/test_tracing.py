"""Tracing: who switches it on, what it costs those who do not, and how a client hands on its caller's trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.trace import use_span
from structlog.testing import capture_logs

from bide.client.post import signature_of, trace_headers
from bide.ledger import Ledger
from tests.contract.ledger_stage import request_of
from tests.integration.servers import free_port
from workers.telemetry.otel import _exporters, provider_from
from workers.telemetry.step_log import StepLog
from workers.telemetry.tracing import Tracing, asked_for

ROOT = Path(__file__).parents[2]

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without whatever the developer's own environment says."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    """The traces of a process that is stopped after the test; its steps have no job, so no ledger is read."""
    made = tracing_of(last_spans_seconds=3.0)
    yield made
    made.stop()


def tracing_of(*, last_spans_seconds: float) -> Tracing:
    """Traces that read no ledger."""

    def no_ledger() -> Ledger:
        raise AssertionError("a step without a job has no polls")

    return Tracing(no_ledger, last_spans_seconds=last_spans_seconds)


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "shop"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "True"}, False),
    ],
)
def test_the_standard_variables_switch_it(environ: dict[str, str], asked: bool) -> None:
    """A place for traces switches it on, the standard ways of saying no switch it off."""
    assert asked_for(environ) is asked


def test_without_being_asked_nothing_is_imported() -> None:
    """A worker without OTEL_* draws nothing, and loads neither the SDK's exporters nor our own spans."""
    code = (
        "import sys\nsys.modules.update({'opentelemetry': None})\n"
        "from workers.telemetry.tracing import Tracing\ntracing = Tracing(None)\ntracing.start()\n"
        "unwanted = ('opentelemetry.', 'workers.telemetry.spans')\n"
        "print(tracing.running, [name for name in sys.modules if name.startswith(unwanted)])"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert run.stdout == "False []\n"


def test_asked_for_and_absent_is_said_and_no_more(tracing: Tracing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without the packages works; its log says what to install."""
    monkeypatch.setitem(sys.modules, "workers.telemetry.otel", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    with capture_logs() as logs:
        tracing.start()

    assert [(said["event"], said["remedy"][:11]) for said in logs] == [("tracing.unavailable", "pip install")]


def test_an_unknown_exporter_is_said_and_no_more(tracing: Tracing, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its name, so that it can be corrected."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with capture_logs() as logs:
        tracing.start()

    assert [said["event"] for said in logs] == ["tracing.unavailable"]
    assert "'zipkin'" in logs[0]["reason"]


def test_a_collector_that_is_away_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps go on, and a worker that stops waits for it no longer than it should."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    tracing = tracing_of(last_spans_seconds=0.2)
    tracing.start()
    assert tracing.running
    with StepLog("job.step", draw=tracing.draw), capture_logs() as logs:
        pass
    tracing.stop()

    assert logs == []
    assert not tracing.running


def test_exporters_are_found_by_their_standard_names() -> None:
    """`otlp` is HTTP unless gRPC is asked for, whose exporter does not come with bide; several may be named."""
    assert [type(each) for each in _exporters(ENDPOINT)] == [OTLPSpanExporter]
    both = {"OTEL_TRACES_EXPORTER": "otlp, console"}
    assert [type(each) for each in _exporters(both)] == [OTLPSpanExporter, ConsoleSpanExporter]
    with pytest.raises(ValueError, match="otlp_proto_grpc"):
        list(_exporters({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}))


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({}, "bide"),
        ({"OTEL_SERVICE_NAME": "pictures"}, "pictures"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop"}, "shop"),
    ],
)
def test_the_service_is_bide_unless_it_is_told_otherwise(
    told: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By either of the standard variables."""
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    provider = provider_from({"OTEL_TRACES_EXPORTER": "console"})

    assert provider.resource.attributes["service.name"] == name
    provider.shutdown()


def test_a_client_hands_on_the_span_it_is_called_in() -> None:
    """In the message, and in what the ledger keeps of it, so that steps which others start know it, too."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("shop").start_span("checkout")
    with use_span(span):
        headers, kept = trace_headers(), json.loads(signature_of(request_of()))

    context = span.get_span_context()
    assert list(headers) == ["traceparent"]
    assert headers["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert kept == {"kwargsrepr": "photogpt images.generation: a red fox", "headers": headers}


def test_a_client_outside_of_all_spans_sends_what_it_always_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one whose caller has no OpenTelemetry import it."""
    assert (trace_headers(), signature_of(request_of())) == ({}, "")
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    monkeypatch.setitem(sys.modules, "opentelemetry.trace.propagation.tracecontext", None)
    assert trace_headers() == {}
