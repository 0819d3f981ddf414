"""The section of one deployment among several: where it is, and which accounts it has."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from bide.settings.addresses import BrokerUrl, RedisUrl, ServerUrl, WebUrl
from bide.settings.sections import Section, listed

Accounts = Annotated[
    tuple[Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9_-]+(/[A-Za-z0-9._-]+)?)$")], ...], BeforeValidator(listed)
]


class NamedLedger(Section):
    """A deployment among several that `bide` commands and `LedgersClient` serve together, with accounts of its own."""

    broker_url: BrokerUrl = Field(ServerUrl(""), description="the BIDE_BROKER_URL of that deployment")
    ledger_url: RedisUrl = Field(ServerUrl(""), description="the BIDE_LEDGER_URL of that deployment, where it has one")
    result_url: RedisUrl = Field(ServerUrl(""), description="the BIDE_RESULT_URL of that deployment, where it has one")
    sentinel_master: str = Field("", description="the BIDE_SENTINEL_MASTER of that deployment, where it has one")
    accounts: Accounts = Field(
        (),
        description='a JSON list of the accounts that stand there, such as ["bfl", "fal/team"]; ["*"]: all others',
    )
    pages_url: WebUrl | None = Field(None, description="where people open the `bide pages` of that deployment")
