"""A short-lived JSON Web Token made from two keys, which some providers want in place of a key. PyJWT signs it."""

from __future__ import annotations

from bide.errors import ConfigurationError

#: How long a token is good for, and for how much longer before it is made: the clocks of providers differ [seconds].
LIVE_SECONDS, EARLIER_SECONDS = 1800.0, 5.0


def jwt_bearer(*, access_key: str, secret_key: str, now: float, live_seconds: float = LIVE_SECONDS) -> dict[str, str]:
    """The header of a call: a token by `access_key`, signed with `secret_key` (HMAC with SHA-256).

    `now` is `Account.now`, so that the call of an account is the same each time it is built. Raises
    `ConfigurationError` for a key that signs nothing.
    """
    import jwt  # noqa: PLC0415 - a caller imports adapters, too, and needs no worker's packages for that

    claims = {"iss": access_key, "nbf": int(now - EARLIER_SECONDS), "exp": int(now + live_seconds)}
    # The provider has chosen the length of its keys: PyJWT's advice on that helps nobody.
    signer = jwt.PyJWT(options={"enforce_minimum_key_length": False})
    try:
        token = signer.encode(claims, secret_key, algorithm="HS256")
    except (jwt.PyJWTError, TypeError, ValueError):
        raise ConfigurationError("the account's secret key signs no token: correct it") from None
    return {"Authorization": f"Bearer {token}"}
