"""A contender on servers of its own: what one leaves behind is not another's burden."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.contenders import CONTENDERS, Bide, Contender
from bench.servers import World, world
from bench.sizes import RESULT_BYTES


@contextmanager
def servers(*, latency_seconds: float, environment: Mapping[str, str] | None = None) -> Iterator[World]:
    """The servers alone; `environment` adds to a contender's environment."""
    with (
        tempfile.TemporaryDirectory(prefix="bide-bench-", ignore_cleanup_errors=True) as folder,
        world(Path(folder), latency_seconds=latency_seconds, result_bytes=RESULT_BYTES, variables=environment) as there,
    ):
        os.environ.update(there.environment)  # the bench reads the bucket as the contenders do
        yield there


@contextmanager
def stage(name: str, *, latency_seconds: float, environment: Mapping[str, str] | None = None) -> Iterator[Contender]:
    """The contender, running; `environment` adds to its own."""
    with (
        servers(latency_seconds=latency_seconds, environment=environment) as there,
        CONTENDERS[name](there) as contender,
    ):
        yield contender


@contextmanager
def bide(*, latency_seconds: float, environment: Mapping[str, str] | None = None) -> Iterator[Bide]:
    """bide, running, for measurements that only bide takes part in."""
    with stage(Bide.name, latency_seconds=latency_seconds, environment=environment) as contender:
        assert isinstance(contender, Bide)
        yield contender
