"""Where callbacks may go and what signs them: checked with the request, and again at each delivery."""

from __future__ import annotations

from bide.contract import GenerateRequest
from bide.errors import BadMediaError, InvalidRequestError
from bide.settings.sections import CallbackSettings
from workers.io.guard import check_url


def check_callback(request: GenerateRequest, settings: CallbackSettings) -> None:
    """Refuse a callback that could never be sent, before anything is bought; raises `InvalidRequestError`."""
    if request.callback_url is None:
        return
    if not signing_secrets(settings):
        raise InvalidRequestError(
            "callback_url: can't be signed here, BIDE_CALLBACKS__SECRET is not set; have it set, or leave "
            "callback_url out and wait for the result"
        )
    try:
        check_url(request.callback_url, allowed_hosts=settings.allowed_hosts)
    except BadMediaError as error:
        raise InvalidRequestError(refused_address(error)) from None


def signing_secrets(settings: CallbackSettings) -> list[str]:
    """What callbacks are signed with, the current secret first; none where it is not set."""
    if settings.secret is None:
        return []
    return [secret.get_secret_value() for secret in (settings.secret, settings.previous_secret) if secret is not None]


def refused_address(error: BadMediaError) -> str:
    """Why a callback's address may not be called, and what to set if it is meant."""
    reason = str(error).partition(";")[0]
    return f"callback_url: {reason}; list its host in BIDE_CALLBACKS__ALLOWED_HOSTS if callbacks may go there"
