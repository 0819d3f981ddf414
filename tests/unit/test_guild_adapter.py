"""The adapter by which idempotency contracts are tested passes what every adapter with one has to pass."""

from __future__ import annotations

from typing import ClassVar

import pytest

from bide.providers import installed
from bide.providers.base import Submission
from tests.contract.provider_contract import ProviderContract
from tests.guild_adapter import GuildAdapter


class Promises(ProviderContract):
    """Its operations; pytest collects no class of this name."""

    name = "guild"
    submissions: ClassVar = {name: Submission("job", name, {"motif": "a fox"}) for name in GuildAdapter.operations}


@pytest.mark.parametrize("operation", GuildAdapter.operations)
def test_what_the_guild_promises_can_be_done(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By each of its contracts."""
    monkeypatch.setitem(installed(), "guild", GuildAdapter())
    Promises().test_what_is_promised_can_be_done(operation)
