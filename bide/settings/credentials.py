"""The secrets of providers' accounts: adapters name them, and each is a variable besides those of all providers."""

from __future__ import annotations

from bide.money.currencies import USD
from bide.providers import installed
from bide.settings.sections import ProviderSettings
from bide.settings.variables import Path

#: The field of an account's section that holds the secrets besides `api_key`; no part of a variable's name.
SECRETS = "secrets"

#: What an account has a key in, where its adapter names nothing else or is not installed.
API_KEY = "api_key"

#: Length of `providers, NAME, VARIABLE` and of `providers, NAME, accounts, ACCOUNT, VARIABLE`.
_OF_PROVIDER, _OF_ACCOUNT = 3, 5


def credentials_of(provider: str) -> tuple[str, ...]:
    """The names of the secrets that an account of a provider has, such as `("access_key", "secret_key")`."""
    adapter = installed().get(provider)
    return (API_KEY,) if adapter is None else tuple(adapter.credentials)


def secret_path(path: Path) -> Path | None:
    """Where the value of a variable stands in the settings, if it is a secret that an adapter names; else None."""
    of_account = len(path) == _OF_ACCOUNT and path[2] == "accounts"
    if path[0] != "providers" or not (len(path) == _OF_PROVIDER or of_account):
        return None
    name = path[-1]
    if name in ProviderSettings.model_fields or name not in credentials_of(path[1]):
        return None
    return (*path[:-1], SECRETS, name)


def provider_names() -> tuple[str, ...]:
    """The providers that there are in this process."""
    return tuple(sorted(installed()))


def own_currency(provider: str) -> str:
    """The currency of a provider whose settings name none."""
    adapter = installed().get(provider)
    return adapter.currency if adapter else USD


def lists_jobs(provider: str) -> bool:
    """Whether a provider has a list of recent jobs; also where it is not installed, so that nothing is known of it."""
    adapter = installed().get(provider)
    return adapter is None or bool(adapter.listed_operations)
