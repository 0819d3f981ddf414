"""A short-lived JSON Web Token made from two keys, which some providers want in place of a key. PyJWT signs it."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from bide.errors import ConfigurationError

if TYPE_CHECKING:
    from jwt import PyJWS

#: How long a token is good for, and since when before it is made: the clocks of providers differ [seconds].
LIVE_SECONDS, EARLIER_SECONDS = 1800.0, 5.0


def jwt_bearer(*, access_key: str, secret_key: str, now: float, live_seconds: float = LIVE_SECONDS) -> dict[str, str]:
    """The header of a call: a token by `access_key`, signed with `secret_key` (HMAC with SHA-256).

    `now` is `Account.now`, so that the call of an account is the same each time it is built. Raises
    `ConfigurationError` for a key that signs nothing.
    """
    from jwt import PyJWTError  # noqa: PLC0415 - callers import adapters, too, and have no worker's packages

    claims = {"iss": access_key, "nbf": int(now - EARLIER_SECONDS), "exp": int(now + live_seconds)}
    try:
        token = _signer().encode(json.dumps(claims, separators=(",", ":")).encode(), secret_key, algorithm="HS256")
    except PyJWTError:
        raise ConfigurationError("the account's secret key signs no token: correct it") from None
    return {"Authorization": f"Bearer {token}"}


@cache
def _signer() -> PyJWS:
    """PyJWT without its warning of short keys: the provider has chosen their length."""
    from jwt import PyJWS  # noqa: PLC0415 - as above
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415 - as above

    class AnyLength(HMACAlgorithm):
        def check_key_length(self, key: bytes) -> None:
            return None

    signer = PyJWS(algorithms=[])
    signer.register_algorithm("HS256", AnyLength(HMACAlgorithm.SHA256))
    return signer
