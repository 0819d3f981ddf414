"""Providers with several secrets, or with none: from the settings to the call, and in no message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest

from bide.errors import ConfigurationError, InvalidRequestError
from bide.ledger import AccountName
from bide.providers import installed
from bide.providers.base import Account, Submission
from bide.providers.jwt_bearer import jwt_bearer
from bide.settings.problems import ConfigurationProblems
from bide.settings.sections import ProviderSettings
from config.settings import show
from tests.unit.keyed import ACCESS, HEARTH, KILN, PAIR, SECRET, KilnAdapter, keyed, settings
from workers.accounts import Accounts, check_providers

__all__ = ["keyed"]

pytestmark = pytest.mark.usefixtures("keyed")

NOW = 1_700_000_000.0


def problems(**variables: str) -> list[str]:
    """What is wrong with them."""
    with pytest.raises(ConfigurationProblems) as found:
        settings(**variables)
    return [str(each) for each in found.value.problems]


# Settings


def test_two_keys_come_from_two_variables() -> None:
    """They reach the account by their names; there is no `api_key`."""
    account = Accounts(settings(**PAIR)).get(AccountName("kiln", "default")).credentials
    assert account.secrets == {"access_key": ACCESS, "secret_key": SECRET}
    assert (account.api_key, account.base_url) == ("", "https://api.kiln.example/v1")
    assert account.now > NOW


def test_each_may_lie_in_a_file(tmp_path: Path) -> None:
    """As any secret may."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    given = {f"{KILN}ACCESS_KEY": ACCESS, f"{KILN}SECRET_KEY_FILE": str(tmp_path / "secret")}
    assert settings(**given).account("kiln").secrets["secret_key"].get_secret_value() == SECRET
    [problem] = problems(**PAIR, **{f"{KILN}SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert problem.startswith(f"{KILN}SECRET_KEY_FILE: is set as well as {KILN}SECRET_KEY")


def test_accounts_have_their_own() -> None:
    """The secrets of an account are one set: its own, or those of its provider."""
    own = {f"{KILN}ACCOUNTS__B__ACCESS_KEY": "access-b", f"{KILN}ACCOUNTS__B__SECRET_KEY": "secret-b"}
    known = settings(**PAIR, **own, **{f"{KILN}ACCOUNTS__C__MAX_IN_FLIGHT": "2"})
    values = {
        name: {key: value.get_secret_value() for key, value in known.account("kiln", name).secrets.items()}
        for name in ("default", "b", "c")
    }
    assert values["b"] == {"access_key": "access-b", "secret_key": "secret-b"}
    assert values["default"] == values["c"] == {"access_key": ACCESS, "secret_key": SECRET}
    assert known.accounts_of("kiln") == ("default", "b", "c")


@pytest.mark.parametrize("place", ["", "ACCOUNTS__B__"])
@pytest.mark.parametrize(("there", "lacks"), [("ACCESS_KEY", "SECRET_KEY"), ("SECRET_KEY", "ACCESS_KEY")])
def test_a_missing_one_is_named_at_the_start(place: str, there: str, lacks: str) -> None:
    """Also where another account has both: two halves of two pairs are no pair."""
    others = PAIR if place else {}
    [problem] = problems(**others, **{f"{KILN}{place}{there}": "half"})
    assert problem.startswith(f"{KILN}{place}{lacks}: is not set, and {KILN}{place}{there} is; set it to")
    assert "half" not in problem


def test_an_account_without_any_is_refused_with_what_to_set() -> None:
    """All that it takes, at once."""
    known = Accounts(settings(**{f"{KILN}MAX_IN_FLIGHT": "3"}))
    with pytest.raises(InvalidRequestError) as refused:
        known.get(AccountName("kiln", "default"))
    assert all(f"{name}: is not set" in str(refused.value) for name in PAIR)
    with pytest.raises(InvalidRequestError, match=f"{KILN}ACCOUNTS__OTHER__ACCESS_KEY"):
        Accounts(settings(**PAIR)).get(AccountName("kiln", "other"))


def test_a_provider_without_secrets_needs_no_key() -> None:
    """Its address is enough."""
    known = settings(**{f"{HEARTH}BASE_URL": "http://127.0.0.1:8188"})
    account = Accounts(known).get(AccountName("hearth", "default")).credentials
    assert (account.base_url, account.api_key, account.secrets) == ("http://127.0.0.1:8188", "", {})
    check_providers(known)
    with pytest.raises(InvalidRequestError, match=f"{HEARTH}ACCOUNTS__OTHER__BASE_URL: is not set"):
        Accounts(known).get(AccountName("hearth", "other"))
    two = settings(**{f"{HEARTH}ACCOUNTS__{name}__BASE_URL": f"http://{name}.example" for name in ("ONE", "TWO")})
    assert two.accounts_of("hearth") == ("one", "two")


def test_a_key_may_be_given_where_none_is_asked_for() -> None:
    """A proxy before it may want one."""
    known = settings(**{f"{HEARTH}BASE_URL": "http://127.0.0.1:8188", f"{HEARTH}API_KEY": "key-of-a-proxy"})
    assert Accounts(known).get(AccountName("hearth", "default")).credentials.api_key == "key-of-a-proxy"


@pytest.mark.parametrize("name", ["ACCES_KEY", "SECRETS__ACCESS_KEY", "SECRET_KEYS", "ACCESS_KEY__X", "TOKEN"])
def test_a_misspelt_secret_is_an_unknown_variable(name: str) -> None:
    """No variable is taken for a secret that the adapter does not name; the message holds no value."""
    [problem, *_] = [
        each for each in problems(**PAIR, **{f"{KILN}{name}": "hunter2"}) if each.startswith(f"{KILN}{name}:")
    ]
    assert "there is no such variable; did you mean" in problem
    assert "hunter2" not in problem


def test_the_nearest_name_is_offered() -> None:
    """Also that of a secret."""
    [problem] = problems(**{f"{KILN}SECRET_KEY": SECRET, f"{KILN}ACCESS_KEY": ACCESS, f"{KILN}ACCES_KEY": "x"})
    assert f"did you mean {KILN}ACCESS_KEY?" in problem
    assert problems(BIDE_PROVIDERS__PHOTOGPT__ACCESS_KEY="x")[0].startswith("BIDE_PROVIDERS__PHOTOGPT__ACCESS_KEY")


def test_what_is_in_force_is_shown_without_values() -> None:
    """By the names of the variables; and logs know each value."""
    lines = [*show({"BIDE_S3__BUCKET": "results", **PAIR}, env_file=None)]
    assert f"{KILN}ACCESS_KEY=**********  # environment" in lines
    assert f"{KILN}SECRET_KEY=**********  # environment" in lines
    assert {ACCESS, SECRET} <= set(settings(**PAIR).secrets())
    shown = repr(settings(**PAIR)) + repr(Accounts(settings(**PAIR)).get(AccountName("kiln", "default")))
    assert ACCESS not in shown
    assert SECRET not in shown


def test_adapters_name_secrets_that_can_be_variables() -> None:
    """No name is that of another setting, ends like the name of a file, or holds the separator."""
    for adapter in installed().values():
        for name in adapter.credentials:
            assert name.islower()
            assert name.isidentifier()
            assert "__" not in name
            assert not name.endswith("_file")
            assert name not in set(ProviderSettings.model_fields) - {"api_key"}


# The token


def test_a_token_is_made_from_two_keys() -> None:
    """Signed with one, by the other, good for half an hour; the same call each time it is built."""
    account = Account("https://api.kiln.example", "", secrets={"access_key": ACCESS, "secret_key": SECRET}, now=NOW)
    adapter, submission = KilnAdapter(), Submission("a", "fire", {"glaze": "blue"})
    call = adapter.submit_call(submission, account)
    assert call == adapter.submit_call(submission, account)
    kind, _, token = call.headers["Authorization"].partition(" ")
    options: Any = {"verify_exp": False}
    assert kind == "Bearer"
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert jwt.decode(token, SECRET, algorithms=["HS256"], options=options) == {
        "iss": ACCESS,
        "nbf": NOW - 5,
        "exp": NOW + 1800,
    }
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, SECRET + "x", algorithms=["HS256"], options=options)


def test_a_short_key_signs_without_a_warning() -> None:
    """The provider chose its length."""
    assert jwt_bearer(access_key="a", secret_key="short", now=NOW, live_seconds=60)["Authorization"].startswith(
        "Bearer "
    )


def test_a_key_that_signs_nothing_is_a_matter_of_the_settings() -> None:
    """The message is without the key."""
    pem = "-----BEGIN PUBLIC KEY-----\nplanted\n-----END PUBLIC KEY-----"
    with pytest.raises(ConfigurationError) as refused:
        jwt_bearer(access_key=ACCESS, secret_key=pem, now=NOW)
    assert "planted" not in str(refused.value)


# In no message


# Commands
