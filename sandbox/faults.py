"""The faults that can be ordered; how to order them stands in `rules.py`.

What a fault then does: `trouble.py` (answers), `jobs.py` (jobs), `media.py` (files).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SUBMIT, POLL, RESULT, CANCEL, MEDIA, CATALOG = "submit", "poll", "result", "cancel", "media", "catalog"
OPERATIONS = (SUBMIT, POLL, RESULT, CANCEL, MEDIA, CATALOG)

PROVIDERS = (
    *("cyberphotobooth", "dreambooth", "fal", "nextry", "photogpt", "replicate"),
    *("comfyui", "bfl", "openai_videos", "guild"),
)

Value = str | float

#: A status that no provider documents.
ODD_WORD = "reticulating"


class Stage(StrEnum):
    """When a fault takes hold."""

    BEFORE = "before"  # instead of the request: nothing is accepted
    ACCEPTED = "accepted"  # the job is bought, its answer is lost
    ANSWER = "answer"  # the true answer, spoilt
    JOB = "job"  # the job itself takes another course
    FILE = "file"  # the file of a result, spoilt


@dataclass(frozen=True)
class Fault:
    """One thing that can be ordered."""

    stage: Stage
    #: The operations that it is made for, and those that it is for unless the rule says otherwise.
    operations: tuple[str, ...]
    usual: str
    #: The name of its own parameter, if it has one, and what that is unless given.
    parameter: str = ""
    default: Value = 0.0


def _everywhere(parameter: str = "", default: Value = 0.0, stage: Stage = Stage.BEFORE) -> Fault:
    return Fault(stage, OPERATIONS, "*", parameter, default)


def _accepted(parameter: str = "", default: Value = 0.0) -> Fault:
    return Fault(Stage.ACCEPTED, (SUBMIT,), SUBMIT, parameter, default)


def _polled(*also: str) -> Fault:
    return Fault(Stage.ANSWER, (POLL, *also), POLL)


def _fate(parameter: str = "", default: Value = 0.0) -> Fault:
    return Fault(Stage.JOB, (SUBMIT, POLL), SUBMIT, parameter, default)


def _file(parameter: str = "", default: Value = 0.0) -> Fault:
    return Fault(Stage.FILE, (MEDIA,), MEDIA, parameter, default)


FAULTS: dict[str, Fault] = {
    "status": _everywhere("status", 500.0),
    "refused": _everywhere("message", "insufficient credits"),
    "edge_page": _everywhere(),
    "drop_before": _everywhere(),
    "html_under_200": _everywhere(),
    "slow": _everywhere("seconds", 5.0),
    "half_json": Fault(Stage.ANSWER, (SUBMIT, POLL, RESULT, CANCEL, CATALOG), "*"),
    "slow_body": _everywhere("bytes_per_second", 1000.0, stage=Stage.ANSWER),
    "accept_then_drop": _accepted(),
    "accept_then_504": _accepted(),
    "accept_then_hang": _accepted("seconds", 3600.0),
    "accept_then_garbage": _accepted(),
    "unknown_status": Fault(Stage.ANSWER, (POLL,), POLL, "word", ODD_WORD),
    "not_found": _polled(MEDIA),
    "fail": _fate("message", "the model ran out of memory"),
    "never_finishes": _fate(),
    "moderated": _fate("message", "flagged by a content checker"),
    "aborted": _fate(),
    "failure_in_result": _fate("message", "the model ran out of memory"),
    "result_expired": _fate(),
    "back_to_queue": _fate("polls", 1.0),
    "cancel_ignored": _fate(),
    "cancel_too_late": _fate(),
    "never_starts": _fate(),
    "not_found_first": _fate("polls", 2.0),
    "empty_result": _fate(),
    "empty_once": _fate(),
    "empty_first": _fate("looks", 2.0),
    "links_alone": _fate(),
    "no_id": _fate(),
    "expired": _fate(),
    "eta": _fate("seconds", 0.0),
    "hook_lies": _fate("seconds", 1.0),
    "hook_lost": _fate(),
    "hook_repeated": _fate("calls", 2.0),
    "node_errors": _fate(),
    "older_server": _fate(),
    "interrupted": _fate(),
    "request_moderated": _fate(),
    "gateway_words": _fate(),
    "forgets_key": _fate(),
    "hides_work": _fate(),
    "result_expires": _fate("seconds", 0.0),
    "html": _file(),
    "empty": _file(),
    "truncated": _file(),
    "cut": _file(),
    "wrong_length": _file(),
    "playlist": _file(),
    "redirect_to": _file("url", "http://127.0.0.1:9/"),
    "redirect_loop": _file(),
    "endless": _file(),
    "gzip_bomb": _file("bytes", float(256 * 1024 * 1024)),
    "pixel_bomb": _file("edge", 100_000.0),
    "wrong_type": _file(),
    "404_once": _file(),
    "labelled": _file("label", "aws-chunked"),
    "base64_file": _file(),
    "code": _file("code", 203.0),
    "signed": _file(),
}
