"""The settings: what an environment amounts to, and what in it is refused."""

from pathlib import Path

import pytest

from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from config.settings import load

ENOUGH = {"BIDE_S3__BUCKET": "results"}
KEY = "BIDE_PROVIDERS__PHOTOGPT__API_KEY"


def settings_of(**variables: str) -> Settings:
    """The settings of an environment that has nothing but these and what is required."""
    return load(ENOUGH | variables, env_file=None)


def problems(**variables: str) -> dict[str, str]:
    """What is wrong with such an environment: the whole line of each problem, by variable."""
    with pytest.raises(ConfigurationProblems) as raised:
        settings_of(**variables)
    return {problem.variable: str(problem) for problem in raised.value.problems}


# What is taken


def test_defaults_need_nothing_but_a_bucket() -> None:
    """An environment with a bucket is enough, and everything else has a value."""
    settings = settings_of()

    assert settings.broker_url == settings.result_url == settings.ledger_url == "redis://127.0.0.1:6379/0"
    assert settings.timing.visibility_timeout_seconds == 300
    assert settings.media.max_bytes == 512 * 1024 * 1024
    assert settings.providers == {}


def test_settings_are_frozen() -> None:
    """No code changes the settings of a running process."""
    with pytest.raises(ValueError, match="frozen"):
        settings_of().s3.bucket = "another"  # type: ignore[misc]  # that is the point


def test_account_inherits_from_its_provider() -> None:
    """An account has its own values where they are set, and its provider's where they are not."""
    settings = settings_of(
        BIDE_PROVIDERS__PHOTOGPT__BASE_URL="https://api.example.com/v1/",
        BIDE_PROVIDERS__PHOTOGPT__API_KEY="key-of-all",
        BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT="7",
        BIDE_PROVIDERS__PHOTOGPT__MEDIA_HOSTS='["127.0.0.1:8900", "Media.Local"]',
        BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__TEAM_B__API_KEY="key-of-b",
        BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__TEAM_B__SUBMITS_PER_SECOND="0.5",
    )

    shared, own = settings.account("photogpt"), settings.account("photogpt", "team_b")

    assert shared.api_key.get_secret_value() == "key-of-all"
    assert own.api_key.get_secret_value() == "key-of-b"
    assert (shared.submits_per_second, own.submits_per_second) == (0.0, 0.5)
    assert own.max_in_flight == 7
    assert own.base_url == "https://api.example.com/v1"
    assert own.media_hosts == ("127.0.0.1:8900", "media.local")
    assert own.poll_cap_seconds is None


@pytest.mark.parametrize("key", ["123456", "true", "null", '{"a": 1}', "a#b$c ${HOME}"])
def test_key_is_taken_literally(key: str, tmp_path: Path) -> None:
    """A key that looks like a number, JSON or a shell variable stays what it is, from either place."""
    env_file = tmp_path / ".env"
    env_file.write_text(f"{KEY}='{key}'\n")

    for settings in (settings_of(**{KEY: key}), load(ENOUGH, env_file=env_file)):
        assert settings.account("photogpt").api_key.get_secret_value() == key


def test_empty_value_counts_as_unset() -> None:
    """`BIDE_X=` is how Compose files say nothing."""
    assert settings_of(BIDE_BROKER_URL="", BIDE_S3__ENDPOINT_URL="", BIDE_TIMING__LEASE_SECONDS="") == settings_of()


@pytest.mark.parametrize(("endpoint", "style"), [("", "auto"), ("http://127.0.0.1:9000", "path")])
def test_addressing_style_follows_the_endpoint(endpoint: str, style: str) -> None:
    """A store that is not AWS is addressed by path unless a variable names another style."""
    assert settings_of(BIDE_S3__ENDPOINT_URL=endpoint).s3.addressing_style == style
    assert (
        settings_of(BIDE_S3__ENDPOINT_URL=endpoint, BIDE_S3__ADDRESSING_STYLE="virtual").s3.addressing_style
        == "virtual"
    )


def test_amqp_broker_keeps_records_and_results_in_redis() -> None:
    """With a broker that is no Redis the results go where the records go."""
    settings = settings_of(BIDE_BROKER_URL="amqp://rabbit//", BIDE_LEDGER_URL="redis://store:6379/1")

    assert settings.result_url == settings.ledger_url == "redis://store:6379/1"


def test_unix_socket_has_one_form() -> None:
    """The spelling kombu has of a socket address is understood and becomes redis-py's."""
    assert (
        settings_of(BIDE_BROKER_URL="redis+socket:///run/redis.sock?virtual_host=2").ledger_url
        == "unix:///run/redis.sock?db=2"
    )


# What is refused


def test_all_problems_are_reported_at_once() -> None:
    """One start is enough to learn everything that must be mended, single values and pairs of them."""
    found = problems(
        BIDE_BROKER_URL="http://127.0.0.1",
        BIDE_TIMING__LEASE_SECONDS="soon",
        BIDE_TIMING__VISIBILITY_TIMEOUT_SECONDS="100",
        BIDE_S3__BUKET="typo",
        BIDE_FLOWER__USER="operator",
        BIDE_LOG__LEVEL_FILE="/run/level",
    )

    assert set(found) == {
        "BIDE_BROKER_URL",
        "BIDE_TIMING__LEASE_SECONDS",
        "BIDE_TIMING__VISIBILITY_TIMEOUT_SECONDS",
        "BIDE_S3__BUKET",
        "BIDE_FLOWER__PASSWORD",
        "BIDE_LOG__LEVEL_FILE",
    }


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [
        ("BIDE_BROKR_URL", "BIDE_BROKER_URL"),
        ("BIDE_PROVIDERS__PHOTOGPT__APIKEY", KEY),
        ("BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__BASEURL", "BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__BASE_URL"),
        ("BIDE_S3_BUCKET", "BIDE_S3__BUCKET"),
        ("BIDE_LEASE_SECONDS", "BIDE_TIMING__LEASE_SECONDS"),
    ],
)
def test_misspelt_variable_is_a_problem(misspelt: str, nearest: str) -> None:
    """A variable that no process reads is reported, with the name that was probably meant."""
    assert f"did you mean {nearest}?" in problems(**{misspelt: "value"})[misspelt]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BIDE_BROKER_URL", "redis://127.0.0.1:port/0"),
        ("BIDE_BROKER_URL", "redis://"),
        ("BIDE_BROKER_URL", "unix://"),
        ("BIDE_LEDGER_URL", "amqp://rabbit"),
        ("BIDE_S3__ENDPOINT_URL", "127.0.0.1:9000"),
        ("BIDE_S3__ENDPOINT_URL", "http://user:pw@127.0.0.1:9000"),
        ("BIDE_PROVIDERS__PHOTOGPT__BASE_URL", "https://api.example.com/?key=1"),
        ("BIDE_BROKER_URL", "redis://a..b/0"),
        ("BIDE_BROKER_URL", f"amqp://{'a' * 64}.example"),
        ("BIDE_S3__ENDPOINT_URL", "http://xn--127-/"),
        ("BIDE_S3__PUBLIC_ENDPOINT_URL", "http://[fe80::1%\uff0e]"),
        ("BIDE_PROVIDERS__PHOTOGPT__BASE_URL", "https://a\uff0e\uff0eb"),
        ("BIDE_PROVIDERS__PHOTOGPT__BASE_URL", f"https://{'a' * 64}.example"),
        ("BIDE_HOOKS__URL", "https://xn--a.example"),
        ("BIDE_PROVIDERS__PHOTOGPT__MEDIA_HOSTS", '["http://127.0.0.1"]'),
        ("BIDE_PROVIDERS__PHOTOGPT__MEDIA_HOSTS", '["127.0.0.1:99999"]'),
        ("BIDE_PROVIDERS__PHOTOGPT__MEDIA_HOSTS", "[127.0.0.1"),
        ("BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT", "0"),
        ("BIDE_PROVIDERS__PHOTOGPT__POLL_FACTOR", "0.9"),
        ("BIDE_PROVIDERS__PHOTOGPT__POLL_CAP_SECONDS", "nan"),
        ("BIDE_PROVIDERS__PHOTOGPT__DEADLINE_SECONDS", "604801"),
        ("BIDE_FLOWER__PORT", "70000"),
    ],
)
def test_wrong_value_is_a_problem(variable: str, value: str) -> None:
    """A value that can't work is found at start, under the full name of its variable, with what to set."""
    found = problems(**{variable: value})

    assert set(found) == {variable}
    assert "; set it to " in found[variable]


@pytest.mark.parametrize(
    ("together", "blamed"),
    [
        ({"BIDE_TIMING__VISIBILITY_TIMEOUT_SECONDS": "110", "BIDE_MEDIA__DOWNLOAD_SECONDS": "5"}, "VISIBILITY_TIMEOUT"),
        ({"BIDE_MEDIA__DOWNLOAD_SECONDS": "250"}, "VISIBILITY_TIMEOUT"),
        ({"BIDE_TIMING__SUBMIT_TIMEOUT_SECONDS": "250"}, "VISIBILITY_TIMEOUT"),
        ({"BIDE_TIMING__SWEEP_SECONDS": "10"}, "LEASE_SECONDS"),
        ({"BIDE_TIMING__READ_TIMEOUT_SECONDS": "61"}, "READ_TIMEOUT"),
        ({"BIDE_BROKER_URL": "amqp://rabbit//"}, "LEDGER_URL"),
        ({"BIDE_FLOWER__PASSWORD": "alone-here"}, "FLOWER__USER"),
        ({"BIDE_S3__BUCKET": ""}, "S3__BUCKET"),
    ],
)
def test_values_that_do_not_agree_are_a_problem(together: dict[str, str], blamed: str) -> None:
    """Values that are right one by one are also checked against each other."""
    assert any(blamed in name for name in problems(**together))


def test_poll_plans_are_checked_for_each_account() -> None:
    """First delay, cap and deadline must agree, also where an account has one of them and its provider the other."""
    provider = "BIDE_PROVIDERS__PHOTOGPT__"
    found = problems(
        **{
            provider + "POLL_CAP_SECONDS": "30",
            provider + "POLL_FIRST_SECONDS": "2",
            provider + "ACCOUNTS__SLOW__POLL_FIRST_SECONDS": "31",
            provider + "ACCOUNTS__SHORT__DEADLINE_SECONDS": "30",
            provider + "ACCOUNTS__FINE__MAX_IN_FLIGHT": "1",
        }
    )

    assert set(found) == {
        provider + "ACCOUNTS__SLOW__POLL_FIRST_SECONDS",
        provider + "ACCOUNTS__SHORT__POLL_CAP_SECONDS",
    }


@pytest.mark.parametrize(
    ("provider", "account", "variable"),
    [
        ("photogpt", "default", "BIDE_PROVIDERS__PHOTOGPT__API_KEY"),
        ("nextry", "default", "BIDE_PROVIDERS__NEXTRY__API_KEY"),
        ("nextry", "team_b", "BIDE_PROVIDERS__NEXTRY__ACCOUNTS__TEAM_B__API_KEY"),
    ],
)
def test_missing_account_names_the_variable_to_set(provider: str, account: str, variable: str) -> None:
    """The error for an account that is not set up names the variable that would set it up."""
    settings = settings_of(
        BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT="1", BIDE_PROVIDERS__NEXTRY__ACCOUNTS__C__API_KEY="key-of-c"
    )

    with pytest.raises(ConfigurationProblems, match=variable):
        settings.account(provider, account)


def test_buckets_that_messages_may_name_are_names_of_buckets() -> None:
    """A JSON list, or names with commas between them; an address would open nothing."""
    assert settings_of(BIDE_BULK__SOURCE_BUCKETS='["uploads", "catalogs"]').bulk.source_buckets == (
        "uploads",
        "catalogs",
    )
    assert settings_of(BIDE_BULK__SOURCE_BUCKETS="uploads,catalogs").bulk.source_buckets == ("uploads", "catalogs")
    assert settings_of().bulk.source_buckets == ()
    for wrong in ('["s3://uploads"]', '["uploads/a"]', '["*"]', '[""]', '{"uploads": 1}', "[1]"):
        assert set(problems(BIDE_BULK__SOURCE_BUCKETS=wrong)) == {"BIDE_BULK__SOURCE_BUCKETS"}
