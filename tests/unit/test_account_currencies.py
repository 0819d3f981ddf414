"""The currency of an account, by which budgets are held against it."""

from __future__ import annotations

import pytest

from bide.settings.model import currency_of
from config.settings import load

SETTINGS = {
    "BIDE_S3__BUCKET": "bide",
    "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "key",
    "BIDE_PROVIDERS__PHOTOGPT__CURRENCY": "EUR",
    "BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__SECOND__CURRENCY": "credits",
    "BIDE_PROVIDERS__NEXTRY__API_KEY": "key",
}


@pytest.mark.parametrize(
    ("provider", "account", "currency"),
    [
        ("photogpt", "default", "EUR"),
        ("photogpt", "second", "credits"),
        ("nextry", "default", "USD"),
        ("photogpt", "third", ""),
        ("dreambooth", "default", ""),
    ],
)
def test_an_account_has_its_own_currency_or_its_providers(provider: str, account: str, currency: str) -> None:
    """None where the settings do not speak of it."""
    assert currency_of(load(SETTINGS, None), provider, account) == currency
