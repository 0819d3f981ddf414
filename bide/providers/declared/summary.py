"""An outcome in a line, for people: what it is, the provider's words, and in brackets what else bide has read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: The fields of an outcome by which people know it, the first that is there.
_TELLING = ("provider_job_id", "status", "reason", "message", "says", "what", "cursor")


def in_a_line(came: Mapping[str, Any]) -> str:
    """The line for what `samples.described` has made of an outcome."""
    if "entries" in came:
        return f"{len(came['entries'])} entries"
    head = str(came.get("is") or came.get("raises"))
    outputs = came.get("outputs") or ()
    telling = ", ".join(map(_output, outputs)) or next((str(came[name]) for name in _TELLING if came.get(name)), "")
    details = ", ".join(_details(came))
    return f"{head}{f': {telling}' if telling else ''}{f' ({details})' if details else ''}"


def _details(came: Mapping[str, Any]) -> Iterator[str]:
    if came.get("code"):
        yield f"code {came['code']}"
    if came.get("cause"):
        yield f"cause {came['cause']}"
    if came.get("charged"):
        yield f"charged: {came['charged']}"
    if came.get("whole_account"):
        yield "the account is paused"
    if came.get("again"):
        yield "is tried again"
    if isinstance(handle := came.get("handle"), dict):
        yield f"handle {', '.join(handle)}"
    yield from _progress(came.get("progress") or {})
    for name, before in (("estimate_seconds", "takes"), ("after_seconds", "after")):
        if came.get(name) is not None:
            yield f"{before} {came[name]:g} s"
    yield from (f"{name} {came[name]}" for name in ("partial", "cost") if came.get(name))


def _progress(progress: Mapping[str, Any]) -> Iterator[str]:
    if progress.get("fraction") is not None:
        yield f"{progress['fraction']:.0%} done"
    if progress.get("position") is not None:
        yield f"{progress['position']} before it"
    if progress.get("left_seconds") is not None:
        yield f"{progress['left_seconds']:g} s left"
    if progress.get("message"):
        yield str(progress["message"])


def _output(output: Mapping[str, Any]) -> str:
    where = output.get("url") or f"{len(output.get('content_base64', ''))} characters of base64"
    return f"{output['role']} {where}"
