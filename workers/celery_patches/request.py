"""The description of a received `bide.generate` in Celery's events, and so in Flower's pages and its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request

from bide.describe import LINE_CHARACTERS, describe_raw

if TYPE_CHECKING:
    from celery.worker.request import _InfoDict  # the stubs' own

#: What the request of a message has in place of `ignore_result`.
WANTS_NO_RESULT = "bide_wants_no_result"


class JobRequest(Request):
    """A received job. Celery's own event would show the raw arguments, pictures and all.

    The consumer's loop runs all of this. Any error but `InvalidTaskError` would end one worker after the other.
    """

    # celery-types leaves these out
    _request_dict: dict[str, Any]
    _ignore_result: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except (KeyError, TypeError, ValueError) as error:  # no id, or a body that is not a list of three
            raise InvalidTaskError(f"not a task message: {type(error).__name__}") from error
        if not (isinstance(self.args, list | tuple) and isinstance(self.kwargs, dict) and isinstance(self.id, str)):
            raise InvalidTaskError("args must be a list, kwargs an object, id a string")
        # The tracer decides about the result before the step runs. The message that opens the record says what the
        # caller wants, and the ledger keeps that; a later message, which another client may have sent, does not count.
        self._request_dict[WANTS_NO_RESULT] = self._ignore_result is True
        self._request_dict["ignore_result"] = self._ignore_result = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.humaninfo()}>"

    def info(self, safe: bool = False) -> _InfoDict:
        """The request for `inspect` and Flower's pages of workers, without the raw arguments."""
        return {**super().info(safe=True), "args": self.argsrepr, "kwargs": self.kwargsrepr}

    @property
    def argsrepr(self) -> str:
        return ""

    @property
    def kwargsrepr(self) -> str:
        try:
            return self._description()
        except Exception:  # such as the RecursionError of a list nested a thousand deep
            return "not a request"

    def _description(self) -> str:
        raw = self.kwargs["request"] if "request" in self.kwargs else next(iter(self.args), None)
        if raw is None:  # a hint of bide: it carries the description that was made of the request
            return str(super().kwargsrepr)[:LINE_CHARACTERS]
        if not isinstance(raw, dict):
            return "not a request"
        return describe_raw(raw.get("provider"), raw.get("operation"), raw.get("params"))
