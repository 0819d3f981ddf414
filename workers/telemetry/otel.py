"""OpenTelemetry's SDK as the standard OTEL_* variables configure it. Only `tracing` imports this module."""

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
    """A provider of bide's own, beside the global one; raises `ValueError` for an unknown exporter."""
    provider = TracerProvider(resource=_resource(), id_generator=Ids(), shutdown_on_exit=False)
    for exporter in _exporters(environ):
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _resource() -> Resource:
    """The resource by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES; the service is `bide` where they name none."""
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: "bide"}))
    return resource


def _exporters(environ: Mapping[str, str]) -> Iterator[SpanExporter]:
    """The exporters that OTEL_TRACES_EXPORTER names, `otlp` where it is not set."""
    for exporter in (environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp").split(","):
        name = _entry_point(exporter.strip(), environ)
        entry_point = next(iter(entry_points(group=EXPORTERS, name=name)), None)
        if entry_point is None:
            raise ValueError(f"OTEL_TRACES_EXPORTER: no installed package offers {name!r}; bide[otel] brings otlp")
        yield entry_point.load()()


def _entry_point(exporter: str, environ: Mapping[str, str]) -> str:
    """The name of an exporter's entry point. `otlp` is HTTP unless the protocol is gRPC, a package of its own."""
    if exporter != "otlp":
        return exporter
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    return "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
