"""A place for traces: takes OTLP over HTTP as any collector does, and keeps what comes."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.web_server import Reply, Request, WebServer


@dataclass(frozen=True)
class Drawn:
    """One span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began: float
    ended: float
    attributes: dict[str, Any]
    events: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)


class Collector(WebServer):
    """Listens on a port of its own; `raw` is all that it was sent, undecoded, headers and all."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.spans: list[Drawn] = []
        self.services: set[str] = set()
        self.raw: list[bytes] = []

    def about(self, job_id: str) -> dict[str, Drawn]:
        """The spans of one job, by name."""
        return {span.name: span for span in self.spans if span.attributes.get("bide.job_id") == job_id}

    def _answer(self, request: Request) -> Reply:
        """Keep one export."""
        packed = request.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(request.body) if packed else request.body
        headers = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
        self.raw += [headers.encode(), body]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(_attributes(resource.resource.attributes)["service.name"])
            self.spans += [_drawn(span) for scope in resource.scope_spans for span in scope.spans]
        return 200, {"Content-Type": "application/x-protobuf"}, ExportTraceServiceResponse().SerializeToString()


def _drawn(span: Any) -> Drawn:
    events = [(event.name, event.time_unix_nano / 1e9, _attributes(event.attributes)) for event in span.events]
    return Drawn(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano / 1e9,
        span.end_time_unix_nano / 1e9,
        _attributes(span.attributes),
        events,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
