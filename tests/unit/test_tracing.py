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
from workers.telemetry.tracing import Tracing, is_enabled

ROOT = Path(__file__).parents[2]

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


#: An environment without the developer's own OpenTelemetry variables.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads the process's environment by itself: without the developer's own variables."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    """Traces that read no ledger, for a test that starts them; they are stopped after it."""
    tracing = Tracing(no_ledger)
    yield tracing
    tracing.stop()


def no_ledger() -> Ledger:
    """The ledger of steps without a job, which have no polls."""
    raise AssertionError("a step without a job has no polls")


def in_new_process(code: str) -> str:
    """The output of Python code in a process that has imported nothing yet."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=CLEAN, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("environ", "enabled"),
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
def test_the_standard_variables_switch_it(environ: dict[str, str], enabled: bool) -> None:
    """A place for traces switches it on, the standard ways of saying no switch it off."""
    assert is_enabled(environ) is enabled


def test_without_being_asked_nothing_is_imported() -> None:
    """A worker without OTEL_* draws nothing, and loads neither the SDK's exporters nor our own spans."""
    code = (
        "import sys\nsys.modules.update({'opentelemetry': None})\n"
        "from workers.telemetry.tracing import Tracing\n"
        "tracing = Tracing(None)\ntracing.start()\n"
        "unwanted = ('opentelemetry.', 'workers.telemetry.spans')\n"
        "print(tracing.spans, [name for name in sys.modules if name.startswith(unwanted)])"
    )
    assert in_new_process(code) == "None []\n"


def test_missing_packages_are_logged() -> None:
    """A worker without the packages works; its log names the command that installs them."""
    code = (
        "import sys\nsys.modules.update({'opentelemetry': None})\n"
        "from structlog.testing import capture_logs\nfrom workers.telemetry.tracing import Tracing\n"
        f"with capture_logs() as logs:\n    Tracing(None).start(environ={ENDPOINT})\n"
        "print([(line['event'], line['remedy'][:11]) for line in logs])"
    )
    assert in_new_process(code) == "[('tracing.unavailable', 'pip install')]\n"


def test_an_unknown_exporter_is_logged(tracing: Tracing) -> None:
    """The line has its name, so that it can be corrected."""
    with capture_logs() as logs:
        tracing.start(environ={"OTEL_TRACES_EXPORTER": "zipkin"})

    assert [line["event"] for line in logs] == ["tracing.unavailable"]
    assert "'zipkin'" in logs[0]["reason"]


def test_a_collector_that_is_away_delays_no_step(monkeypatch: pytest.MonkeyPatch, tracing: Tracing) -> None:
    """Steps go on, and a worker that stops waits for it no longer than it should."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    tracing.start()
    spans = tracing.spans
    with StepLog("job.step", draw=tracing.draw), capture_logs() as logs:
        pass
    tracing.stop(wait_seconds=0.2)

    assert logs == []
    assert spans is not None
    assert tracing.spans is None


def test_exporters_are_found_by_their_standard_names() -> None:
    """`otlp` is HTTP unless gRPC is asked for, whose exporter does not come with bide; several may be named."""
    assert [type(each) for each in _exporters(ENDPOINT)] == [OTLPSpanExporter]
    both = {"OTEL_TRACES_EXPORTER": "otlp, console"}
    assert [type(each) for each in _exporters(both)] == [OTLPSpanExporter, ConsoleSpanExporter]
    with pytest.raises(ValueError, match="otlp_proto_grpc"):
        list(_exporters({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}))


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "bide"),
        ({"OTEL_SERVICE_NAME": "pictures"}, "pictures"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop"}, "shop"),
    ],
)
def test_the_service_is_bide_unless_the_environment_names_another(
    environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By either of the standard variables."""
    for variable, value in environ.items():
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
