"""The variables that name several ledgers, and which account stands where."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide.contract import GenerateRequest
from bide.errors import ConfigurationError, InvalidRequestError
from bide.settings.ledgers import Ledgers, read_ledgers
from bide.settings.problems import ConfigurationProblems
from config.settings import load, show

NAMES = {
    "BIDE_LEDGERS__EU__BROKER_URL": "redis://:hunter2@eu:6379/0",
    "BIDE_LEDGERS__EU__ACCOUNTS": "photogpt, fal/team",
    "BIDE_LEDGERS__US__BROKER_URL": "amqps://u:hunter2@rabbit:5671/",
    "BIDE_LEDGERS__US__LEDGER_URL": "redis://us:6379/0",
    "BIDE_LEDGERS__US__ACCOUNTS": '["photogpt/west", "*"]',
}


def named(**changes: str) -> Ledgers:
    """The two of above, with changes."""
    found = read_ledgers({**NAMES, **changes})
    assert found
    return found


def test_the_nearest_name_has_an_account() -> None:
    """An account by its name goes before its provider, that before all others."""
    places = ("photogpt/default", "photogpt/west", "fal/team", "fal/default", "bfl/default")
    found = [named().of_account(*each.split("/")) for each in places]
    assert found == ["eu", "us", "eu", "us", "us"]


def test_an_account_that_no_ledger_has_is_refused() -> None:
    """The message says what to add."""
    request = GenerateRequest(provider="bfl", operation="x", params={})
    with pytest.raises(InvalidRequestError, match="no ledger has bfl/default: add it to BIDE_LEDGERS__"):
        named(BIDE_LEDGERS__US__ACCOUNTS="photogpt/west").of_request(request)


def test_each_has_the_variables_of_its_deployment() -> None:
    """One address of a Redis is enough for all; what is not set stays out."""
    assert named().environment("eu") == {"BIDE_BROKER_URL": "redis://:hunter2@eu:6379/0"}
    assert named().environment("us")["BIDE_LEDGER_URL"] == "redis://us:6379/0"
    assert read_ledgers({"BIDE_BROKER_URL": "redis://a", "BIDE_LEDGERS__EU__BROKER_URL": ""}) is None


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    """As every other address; one that can't be read is named."""
    (tmp_path / "url").write_text("redis://:hunter2@eu/0\n")
    found = read_ledgers({"BIDE_LEDGERS__EU__BROKER_URL_FILE": str(tmp_path / "url")})
    assert found
    assert found.environment("eu") == {"BIDE_BROKER_URL": "redis://:hunter2@eu/0"}
    with pytest.raises(ConfigurationError, match="BIDE_LEDGERS__EU__BROKER_URL_FILE: names a file"):
        read_ledgers({"BIDE_LEDGERS__EU__BROKER_URL_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"BIDE_LEDGERS__US__ACCOUNTS": "photogpt"}, "BIDE_LEDGERS__US__ACCOUNTS: has photogpt, as eu has"),
        ({"BIDE_LEDGERS__US__LEDGER_URL": ""}, "BIDE_LEDGERS__US__LEDGER_URL: is not set, and the broker is no Redis"),
        (
            {"BIDE_LEDGERS__US__LEDGER_URL": "redis://x:y@eu:6379/0"},
            "BIDE_LEDGERS__US__LEDGER_URL: leads to the ledger",
        ),
        *(
            (
                {"BIDE_LEDGERS__EU__BROKER_URL": one, "BIDE_LEDGERS__ASIA__BROKER_URL": other},
                "BIDE_LEDGERS__EU__BROKER_URL: leads to the broker of asia",
            )
            for one, other in [
                ("redis://:hunter2@a", "redis://a:6379/0"),
                ("redis://a:6379", "rediss://A:6379/"),
                ("redis://localhost:6379/1", "redis://127.0.0.1:6379?db=1"),
                ("unix:///run/redis.sock", "unix://:hunter2@/run/redis.sock?db=0"),
                ("sentinel://a:26379;sentinel://b", "sentinel://b:26379/0;sentinel://a"),
            ]
        ),
        ({"BIDE_LEDGERS__ASIA": "redis://:hunter2@a"}, "BIDE_LEDGERS__ASIA: there is no such variable"),
        ({"BIDE_LEDGERS__ASIA__ACCOUNTS": "bfl"}, "BIDE_LEDGERS__ASIA__BROKER_URL: is not set"),
        ({"BIDE_LEDGERS__EU__BROKER_URL": "redis://eu?cluster=true"}, "BROKER_URL: is the address of a cluster"),
        ({"BIDE_LEDGERS__EU__ACCOUNTS": "a b"}, "BIDE_LEDGERS__EU__ACCOUNTS: "),
    ],
)
def test_a_mistake_is_named_for_client_and_workers_alike(changes: dict[str, str], wrong: str) -> None:
    """By its variable and with a remedy; no password is printed."""
    with pytest.raises(ConfigurationError) as refused:
        named(**changes)
    with pytest.raises(ConfigurationProblems) as by_workers:
        load({"BIDE_S3__BUCKET": "bide", **NAMES, **changes}, None)
    for error in (refused, by_workers):
        assert wrong in str(error.value)
        assert "hunter2" not in str(error.value)


def test_workers_show_them_without_passwords() -> None:
    """They know the variables, mask the addresses, and redact the passwords from logs."""
    environment = {"BIDE_S3__BUCKET": "bide", **NAMES}
    assert "hunter2" not in "\n".join(show(environment, None))
    assert "hunter2" in load(environment, None).secrets()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("redis://a/0", "redis://a/1"),
        ("redis://a:6379", "redis://a:6380"),
        ("unix:///run/a.sock", "unix:///run/b.sock"),
        ("redis://a", "sentinel://a"),
    ],
)
def test_neighbours_are_others(one: str, other: str) -> None:
    """Another database, port or socket is another ledger."""
    changes = {"BIDE_LEDGERS__EU__BROKER_URL": one, "BIDE_LEDGERS__ASIA__BROKER_URL": other}
    assert named(**changes).names == ["asia", "eu", "us"]


def test_sentinels_may_know_several_leaders() -> None:
    """Each by a name of its own."""
    sentinels = {f"BIDE_LEDGERS__{name}__BROKER_URL": "sentinel://a;sentinel://b" for name in ("EU", "ASIA")}
    with pytest.raises(ConfigurationError, match="leads to the broker of asia"):
        named(**sentinels, BIDE_LEDGERS__ASIA__SENTINEL_MASTER="mymaster")
    assert named(**sentinels, BIDE_LEDGERS__ASIA__SENTINEL_MASTER="asia").names == ["asia", "eu", "us"]
