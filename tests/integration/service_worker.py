"""The worker of another service, whose Celery app stands in a module beside this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.processes import Process, plain_environment


@contextmanager
def worker_of(module: str, *queues: str, url: str, folder: Path) -> Iterator[Process]:
    """A worker of the app in `module` on these queues of the broker at `url`; its log lies in `folder`."""
    command = ["celery", "-A", f"tests.integration.{module}", "worker", "-P", "solo", "-Q", ",".join(queues)]
    process = Process(
        module,
        [*command, "-n", f"{module}@%h", "--loglevel=INFO"],
        env={**plain_environment(), "SERVICE_URL": url},
        ready=rf"{module}@\S+ ready",
        log=folder / "log",
    )
    try:
        process.start()
        yield process
    finally:
        process.kill()
