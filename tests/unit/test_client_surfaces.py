"""All clients do the same, by the same names and arguments."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from bide.client import AsyncClient, AsyncLedgersClient, Client, LedgersClient

CLIENTS = (AsyncClient, LedgersClient, AsyncLedgersClient)


def surface(client: type) -> dict[str, list[Any]]:
    """The methods that a caller uses, with their arguments."""
    methods = inspect.getmembers(client, inspect.isfunction)
    return {name: list(inspect.signature(one).parameters) for name, one in methods if not name.startswith("_")}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_has_what_the_first_one_has(client: type) -> None:
    """A caller changes the class, and nothing else."""
    found = surface(client)
    assert {name: found.get(name) for name in surface(Client)} == surface(Client)


def test_the_clients_of_several_deployments_are_alike() -> None:
    """Also in what `Client` lacks: the ledger of a job, and how they are made."""
    assert surface(AsyncLedgersClient) == surface(LedgersClient)
    assert inspect.signature(AsyncLedgersClient.from_environment) == inspect.signature(LedgersClient.from_environment)
