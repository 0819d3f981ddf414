"""One stack for all tests with containers: built, brought up, and taken down to the last file whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from tests.containers.images import make_base, make_servers
from tests.containers.machine import Machine, why_not
from tests.containers.stack import RUNNING, Stack

#: What took how long [seconds].
TOOK = pytest.StashKey[dict[str, float]]()


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Iterator[Stack]:
    """docker-compose.yml with the sandbox, all health checks green."""
    if reason := why_not():
        pytest.skip(reason)
    with Machine(Path(mkdtemp(prefix="bide-containers-"))) as machine:
        stack = Stack(machine)
        try:
            with stack.timed("base image"):
                make_base(machine)
            make_servers(machine)
            stack.lay_out()
            stack.build()
            machine.close_names()
            stack.up()
            with stack.timed("tests"):
                yield stack
        except BaseException:
            _show(stack)
            raise
        finally:
            pytestconfig.stash[TOOK] = stack.took


def _show(stack: Stack) -> None:
    """What the containers wrote last, beside a failure of the stage itself."""
    for service in RUNNING:
        sys.stderr.write(f"--- {service}\n{stack.logs(service)[-3000:]}\n")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What docs/operations.md says of times, as measured here."""
    if took := config.stash.get(TOOK, None):
        times = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in took.items())
        terminalreporter.write_line(f"containers: {times}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what worker and poller wrote last beside a test that failed."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections += [(f"log of {name}", stack.logs(name)[-6000:]) for name in ("worker", "poller")]
    return report
