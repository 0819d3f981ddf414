"""Which part of the code a sample belongs to: pure functions over the collapsed stacks that py-spy writes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

#: Areas by the file of a frame, the first that fits. A sample belongs to the area nearest to where it was taken; files
#: of none (the standard library, redis-py) work for their callers.
AREAS: tuple[tuple[str, str], ...] = (
    ("boto3: two puts a job", r"\b(boto3|botocore|s3transfer|urllib3)/"),
    ("HTTP: aiohttp, httpx", r"\b(aiohttp|httpx|httpx_aiohttp|httpcore|yarl|multidict|aiohappyeyeballs)/"),
    ("Celery and kombu", r"\b(celery|kombu|billiard|vine|amqp)/|workers/(celery_patches|transport)/"),
    ("the ledger", r"bide/ledger/"),
    ("logs", r"\b(structlog|logging)/|config/logging"),
    ("checks of media", r"workers/io/|\bPIL/"),
    ("messages and records as models", r"\bpydantic(_core)?/|bide/contract\.py"),
    ("bide's other code", r"\b(bide|tasks|workers|config)/"),
)

REST = "the rest: threads, event loop, interpreter"

_FRAME = re.compile(r"\((.+?)(?::\d+)?\)$")


def area_of(stack: str) -> str:
    """The area of a stack, its frames from the outermost to the innermost, separated by semicolons."""
    for frame in reversed(stack.split(";")):
        found = _FRAME.search(frame.strip())
        path = found[1].replace("\\", "/") if found else ""
        for area, pattern in AREAS:
            if re.search(pattern, path):
                return area
    return REST


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Each area's share of all samples, the largest first."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if count.isdigit():
            counts[area_of(stack)] += int(count)
    total = counts.total() or 1
    return {area: count / total for area, count in counts.most_common()}
