"""Where traces go: OpenTelemetry's SDK as the standard OTEL_* variables want it. Only `tracing` imports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from workers.telemetry.spans import Ids

#: The entry points under which packages offer their exporters.
EXPORTERS = "opentelemetry_traces_exporter"


def provider_from(environ: Mapping[str, str]) -> TracerProvider:
    """A provider of bide's own, beside whatever the global one is; raises `ValueError` for an unknown exporter."""
    provider = TracerProvider(resource=_resource(), id_generator=Ids(), shutdown_on_exit=False)
    for exporter in _exporters(environ):
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _resource() -> Resource:
    """As OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say; the service is `bide` where they name none."""
    told = Resource.create()
    if str(told.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return told.merge(Resource({SERVICE_NAME: "bide"}))
    return told


def _exporters(environ: Mapping[str, str]) -> Iterator[SpanExporter]:
    """By the names in OTEL_TRACES_EXPORTER, `otlp` where it is not set."""
    for asked in (environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp").split(","):
        name = _entry_of(asked.strip(), environ)
        found = next(iter(entry_points(group=EXPORTERS, name=name)), None)
        if found is None:
            raise ValueError(f"OTEL_TRACES_EXPORTER: no installed package offers {name!r}; bide[otel] brings otlp")
        yield found.load()()


def _entry_of(asked: str, environ: Mapping[str, str]) -> str:
    """`otlp` speaks HTTP unless the protocol says gRPC, whose exporter is a package of its own."""
    if asked != "otlp":
        return asked
    told = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    return "otlp_proto_grpc" if told.strip() == "grpc" else "otlp_proto_http"
