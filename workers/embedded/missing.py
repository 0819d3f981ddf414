"""What `bide up` lacks to serve a job: a provider, an object store that takes results. It starts all the same."""

from __future__ import annotations

from contextlib import suppress

from bide.printable import printable
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from bide.storage import Storage
from workers.embedded.terminal import warn
from workers.io.store_options import probe_options
from workers.io.store_probe import probe

#: The object of the test, in the bucket.
PROBE_KEY = "bide-probe/up"


def say_what_is_missing(settings: Settings) -> None:
    """Test the object store, look whether a provider has a key, and print what is wrong, and what to do."""
    if failure := probe(Storage(probe_options(settings)), PROBE_KEY):
        warn("objects", f"the object store takes no test object: {printable(str(failure))}")
        warn("", "jobs wait and nothing is bought until it does; `bide doctor` says what to do")
    if not any(_can_be_called(settings, name) for name in settings.providers):
        warn("providers", "none has a key: set BIDE_PROVIDERS__<NAME>__API_KEY; `bide providers` lists them")


def _can_be_called(settings: Settings, provider: str) -> bool:
    """Whether an account of the provider has all secrets that its adapter names."""
    for account in settings.accounts_of(provider):
        with suppress(ConfigurationProblems):
            settings.account(provider, account)
            return True
    return False
