"""Tests in this folder need a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.browser.chromium import Page, browser, executable


@pytest.fixture(scope="session", name="tab")
def _tab() -> Iterator[Page]:
    """A tab of a real browser; without one a test is skipped on a laptop, in CI that would be a lie."""
    if executable() is None:
        told = "no Chromium is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    with browser() as page:
        yield page
