"""Addresses of clusters, wherever one can be written."""

from __future__ import annotations

import pytest

from bide.client import Client
from bide.errors import ClusterError
from bide.ledger.connection import connect
from bide.settings.problems import ConfigurationProblems
from config.settings import load

ADDRESSES = (
    "redis+cluster://:hunter2@a:6379",
    "rediss+cluster://a:6379/0",
    "redis-cluster://a",
    "valkey+cluster://a",
    "redis://:hunter2@a:6379/0?cluster=true",
    "rediss://a:6379?ssl_ca_certs=/ca.pem&cluster=1",
    "redis://a:6379?CLUSTER=yes",
    "redis://a:6379?cluster_mode=true",
)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("variable", ["BIDE_BROKER_URL", "BIDE_LEDGER_URL", "BIDE_RESULT_URL"])
def test_no_setting_takes_one(variable: str, address: str) -> None:
    """The message says what to take instead, and no password."""
    with pytest.raises(ConfigurationProblems) as refused:
        load({"BIDE_S3__BUCKET": "bide", variable: address}, None)
    assert f"{variable}: is the address of a cluster" in str(refused.value)
    assert "several ledgers (docs/scaling.md)" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_client_takes_one(address: str) -> None:
    """Neither as ledger nor as broker; nothing is connected to."""
    for refused in (
        lambda: connect(address),
        lambda: Client(address),
        lambda: Client("amqp://a", ledger_url=address),
        lambda: Client(address, ledger_url="redis://a"),
    ):
        with pytest.raises(ClusterError) as error:
            refused()
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("address", ["redis://cluster.example.com:6379/0", "redis://:cluster@a"])
def test_other_addresses_pass(address: str) -> None:
    """A host or a password of that name."""
    assert load({"BIDE_S3__BUCKET": "bide", "BIDE_BROKER_URL": address}, None).broker_url == address
