"""A run whose answer is lost, with real processes: it is found by its id, and made once."""

from __future__ import annotations

import pytest

from tests.integration.caller import Caller, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.test_later_providers import comfyui

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_504", "drop_before times=1", "accept_then_garbage"])
def test_a_doubt_settles_itself(fault: str, caller: Caller, rig: Rig) -> None:
    """Accepted or not."""
    marked = marker()
    result = succeeded(caller.submit(comfyui(f"{marked} [fault:{fault}]")))
    assert [it["id"] for it in rig.purchases(marked)] == [result["provider_job_id"]]
