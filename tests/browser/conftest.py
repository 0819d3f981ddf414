"""Tests in this folder need a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.browser.chromium import Page, browser, executable
from tests.browser.operator import Operator
from tests.browser.stage import FlowerRig
from tests.integration.caller import Caller
from tests.integration.waiting import eventually


@pytest.fixture(scope="session", name="tab")
def _tab() -> Iterator[Page]:
    """A tab of a real browser; without one a test is skipped on a laptop, in CI that would be a lie."""
    if executable() is None:
        reason = "no Chromium is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with browser() as page:
        yield page


@pytest.fixture(scope="session", name="rig")
def _rig(tmp_path_factory: pytest.TempPathFactory, tab: Page) -> Iterator[FlowerRig]:  # noqa: ARG001 - without a browser none of this starts
    """A whole deployment behind a password, and Flower over it."""
    with FlowerRig(tmp_path_factory.mktemp("rig")) as rig:
        yield rig


@pytest.fixture(scope="session", name="caller")
def _caller(rig: FlowerRig) -> Iterator[Caller]:
    """A service that submits jobs."""
    with Caller(rig.redis.url) as caller:
        yield caller


@pytest.fixture(scope="session", name="operator")
def _operator(rig: FlowerRig, tab: Page) -> Operator:
    """An operator who is logged in, and sees both workers."""
    operator = Operator(tab, rig.address)
    assert operator.log_in() == 200
    eventually(lambda: len(operator.rows("#workers-table")) == 2, what="Flower sees both workers")
    return operator
