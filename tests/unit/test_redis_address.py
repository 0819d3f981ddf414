"""Mistakes in the address of a Redis, by settings, client and command alike: named at once, without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from redis.sentinel import MasterNotFoundError

from bide.cli.main import main
from bide.client import Client
from bide.errors import ClusterError, ConfigurationError
from bide.redis_address import mistake, place_of
from bide.redis_client import connect, connect_async
from bide.redis_errors import words_of
from bide.settings.ledgers import read_ledgers
from bide.settings.problems import ConfigurationProblems
from config.settings import load

WRONG = {
    "redis://:hunter2@a:6379/0?ssl_ca_certs=hunter2": "the parameter ssl_ca_certs, which goes with rediss:// alone",
    "redis://:hunter2@a:6379/0?timeout_s=3": "the parameter timeout_s, which there is not",
    "redis://:hunter2@a:6379/0?Hunter2!=3": "a parameter that there is not",
    "redis://:hunter2@a:6379/0?socket_timeout=hunter2": "a parameter whose value can't be read",
    "redis://:hunter2@a:6379?db=hunter2": "a parameter whose value can't be read",
    "redis://:hunter2@a:6379/zero": "a database that is no number",
    "rediss://:hunter2@a:6379/-1": "a database that is no number",
    "unix:///run/redis.sock?db=hunter2": "a parameter whose value can't be read",
    "sentinel://:hunter2@a:26379/one;sentinel://b": "a database that is no number",
    "sentinel://:hunter2@a:26379;redis://:hunter2@b": "several servers, which sentinels alone can be",
    "redis://:hunter2@a;redis://:hunter2@b": "several servers, which sentinels alone can be",
}

#: Settings refuse these in other words; a part of a password may stand where a host or a parameter does.
UNESCAPED = {
    "redis://:hunter2;redis://x@b:6379/0": "several servers, which sentinels alone can be",
    "redis://:x@hunter2?y@b:6379/0": "a password with a character that must be escaped",
    "redis://:123?hunter2=x@b:6379/0": "a password with a character that must be escaped",
    "redis://:x#hunter2@b:6379/0": "a password with a character that must be escaped",
    "sentinel://:x?hunter2@a:26379;sentinel://b:26379": "a password with a character that must be escaped",
}

RIGHT = (
    "redis://:p%2Fw@a:6379/0",
    "redis://a",
    "redis://a/",
    "redis://a:6379?db=3&socket_timeout=2.5&client_name=x&protocol=2&health_check_interval=3&max_connections=9",
    "rediss://a:6379/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required&ssl_certfile=/a&ssl_keyfile=/b",
    "unix:///run/redis.sock?db=2",
    "sentinel://:pw@a:26379/0;sentinel://b:26379;sentinel://c",
)


@pytest.mark.parametrize("url", RIGHT)
def test_right_addresses_pass(url: str) -> None:
    """Those of the documentation, and all parameters of redis-py."""
    assert mistake(url) == ""
    load({"BIDE_S3__BUCKET": "bide", "BIDE_BROKER_URL": url}, None)


def test_other_brokers_are_none_of_its_business() -> None:
    """Kombu has ways of its own with RabbitMQ."""
    assert mistake("amqp://a//;amqp://b//?heartbeat=3") == ""


@pytest.mark.parametrize(("url", "wrong"), WRONG.items())
def test_settings_name_the_mistake(url: str, wrong: str) -> None:
    """At the start, and without a secret; it was a traceback of redis-py, or another database."""
    for variable in ("BIDE_BROKER_URL", "BIDE_LEDGER_URL"):
        with pytest.raises(ConfigurationProblems) as refused:
            load({"BIDE_S3__BUCKET": "bide", variable: url}, None)
        verb = "lists" if "several" in wrong else "has"
        assert f"{variable}: {verb} {wrong}" in str(refused.value)
        assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="BIDE_LEDGERS__EU__BROKER_URL: ") as misnamed:
        read_ledgers({"BIDE_LEDGERS__EU__BROKER_URL": url})
    assert wrong in str(misnamed.value)
    assert "hunter2" not in str(misnamed.value)


@pytest.mark.parametrize("url", UNESCAPED)
def test_settings_show_no_part_of_a_password(url: str) -> None:
    """Also where it reads as a host, or as a parameter."""
    with pytest.raises(ConfigurationProblems) as refused:
        load({"BIDE_S3__BUCKET": "bide", "BIDE_BROKER_URL": url}, None)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("url", "wrong"), {**WRONG, **UNESCAPED}.items())
def test_clients_refuse_it(url: str, wrong: str) -> None:
    """Whatever client: nothing is connected to."""
    for refused in (
        lambda: connect(url),
        lambda: connect_async(url),
        lambda: Client(url),
        lambda: Client("amqp://a", ledger_url=url),
    ):
        with pytest.raises(ConfigurationError) as error:
            refused()
        assert wrong in str(error.value)
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(("url", "wrong"), {**WRONG, **UNESCAPED}.items())
@pytest.mark.parametrize("arguments", [("ledger", "list"), ("submit", "--request", "-"), ("status", "a")])
def test_commands_say_it_in_a_line(
    arguments: tuple[str, ...], url: str, wrong: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """No traceback, and no password."""
    monkeypatch.chdir(tmp_path)
    request = {"provider": "photogpt", "operation": "images.generation", "params": {"modelID": "m1", "prompt": "x"}}
    result = CliRunner().invoke(main, [*arguments, "--broker", url], input=json.dumps(request))
    assert isinstance(result.exception, SystemExit)
    assert "hunter2" not in result.output
    assert wrong in result.output


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://u:hunter2@a:6379/0?client_name=x", "a:6379/0"),
        ("redis://:hun/ter2@a:6379/0", "a:6379/0"),
        ("redis://:hun#ter2@a:6379", "***"),
        ("redis://:hun@ter2@a:6379", "a:6379"),
        ("redis://:hunter?2@a:6379/0", "***"),
        ("redis://a?password=hun@ter2", "***"),
        ("redis://a:1/0", "a:1/0"),
        ("a:1", "a:1"),
        ("sentinel://:hunter2@a:1/0;sentinel://:hunter2@b:2", "a:1/0, b:2"),
    ],
)
def test_a_place_holds_no_password(url: str, place: str) -> None:
    """Also where it was not escaped as it should be."""
    assert place_of(url) == place


def test_sentinels_that_are_away_are_named_in_a_line() -> None:
    """redis-py's own message is the clients in Python's spelling."""
    error = MasterNotFoundError("No master found for 'mymaster' : <redis.client.Redis(<redis.connection.Conn...")
    assert words_of(error) == "none of its sentinels names a leader 'mymaster'"


def test_a_ledger_with_a_wrong_parameter_does_not_hide_the_others(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake that the variables themselves do not show, such as a cluster, is as one that is away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIDE_LEDGERS__A__BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("BIDE_LEDGERS__B__BROKER_URL", "redis://127.0.0.1:2/0")

    def cluster(url: str, _master: str) -> None:
        raise ClusterError(f"{url} is in cluster mode")

    monkeypatch.setattr("bide.redis_client.connect", lambda url, **_: cluster(url, ""))
    result = CliRunner().invoke(main, ["ledger", "list"])
    assert result.stderr.splitlines() == [
        "ledger a: redis://127.0.0.1:1/0 is in cluster mode",
        "ledger b: redis://127.0.0.1:2/0 is in cluster mode",
        "Error: no ledger answers",
    ]
