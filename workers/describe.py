"""What Celery's events, and so Flower's pages and its API, say of a received `bide.generate`."""

from __future__ import annotations

from celery.worker.request import Request

from bide.describe import LINE_CHARACTERS, describe_raw


class JobRequest(Request):
    """A received job. Celery's own event would show the raw arguments, pictures and all."""

    @property
    def argsrepr(self) -> str:
        return ""

    @property
    def kwargsrepr(self) -> str:
        raw = self.kwargs["request"] if "request" in self.kwargs else next(iter(self.args), None)
        if raw is None:  # a hint of ours: its description was made from the request when that came
            return str(super().kwargsrepr)[:LINE_CHARACTERS]
        if not isinstance(raw, dict):
            return "not a request"
        return describe_raw(raw.get("provider"), raw.get("operation"), raw.get("params"))
