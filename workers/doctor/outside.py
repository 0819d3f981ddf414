"""The providers' addresses: whether they can be connected to. Nothing is sent, so nothing can be bought."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from workers.doctor.findings import Finding, ok, problem, warning
from workers.toolbox import Toolbox

#: How long a connection, with its handshake, may take [seconds].
CONNECT_SECONDS = 5.0


def check_providers(settings: Settings, tools: Toolbox) -> Iterator[Finding]:
    """Every account that is set up has a key, and an address that takes connections."""
    names = [AccountName(name, each) for name in sorted(settings.providers) for each in settings.accounts_of(name)]
    if not names:
        yield warning("providers", "none is set up", "set BIDE_PROVIDERS__<NAME>__API_KEY; `bide providers` lists them")
    addresses: dict[str, list[AccountName]] = {}
    for name in names:
        try:
            addresses.setdefault(tools.accounts.get(name).credentials.base_url, []).append(name)
        except (InvalidRequestError, ConfigurationProblems) as error:
            yield problem(f"account {name}", str(error), "set what is missing, or take the account out")
    for address, users in addresses.items():
        yield _check_address(address, ", ".join(map(str, users)))


def _check_address(address: str, users: str) -> Finding:
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), CONNECT_SECONDS) as connection:
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(connection, server_hostname=host):
                    pass
    except OSError as error:
        reason = getattr(error, "verify_message", "") or error.strerror or type(error).__name__
        remedy = (
            "look at BIDE_PROVIDERS__<NAME>__BASE_URL, the name server, the firewall, the certificates of this host"
        )
        return problem(f"address of {users}", f"{host}:{port} can't be connected to: {reason}", remedy)
    return ok(f"address of {users}", f"{host}:{port} takes connections")
