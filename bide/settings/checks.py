"""Checks of settings that are right one by one and wrong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bide.settings.credentials import credentials_of, lists_jobs
from bide.settings.ledgers import problems_of
from bide.settings.prices import prices_of
from bide.settings.problems import Problem
from bide.settings.variables import Path, variable_name

if TYPE_CHECKING:
    from bide.settings.model import Settings
    from bide.settings.sections import AccountSettings, ProviderSettings

#: The part of the visibility timeout that a message's longest wait and its longest step may take together.
VISIBILITY_SHARE = 0.8


def cross_checks(settings: Settings) -> Iterator[Problem]:
    """Problems of values that do not fit together."""
    yield from _check_stores(settings)
    yield from _check_visibility(settings)
    yield from _check_steps(settings)
    yield from _check_flower(settings)
    yield from _check_hooks(settings)
    yield from settings.retention.problems()
    for each in problems_of(settings.ledgers):
        yield _problem(("ledgers", each.ledger, each.variable), each.wrong, each.remedy)
    for provider, shared in settings.providers.items():
        yield from _check_polls(shared, shared, ("providers", provider))
        yield from _check_secrets(shared, provider, ("providers", provider))
        yield from _check_tenants(shared, shared, provider, ("providers", provider))
        for account, own in shared.accounts.items():
            yield from _check_polls(own, shared, ("providers", provider, "accounts", account))
            yield from _check_secrets(own, provider, ("providers", provider, "accounts", account))
            yield from _check_tenants(own, shared, provider, ("providers", provider, "accounts", account))
        yield from prices_of(provider, shared).problems()


def listing_problems(settings: Settings) -> Iterator[Problem]:
    """Settlement by listing at providers that have no list of recent jobs. Loads the adapters that it looks at."""
    for name, shared in sorted(settings.providers.items()):
        sections: dict[Path, AccountSettings] = {("providers", name): shared}
        sections |= {("providers", name, "accounts", account): own for account, own in sorted(shared.accounts.items())}
        for path, section in sections.items():
            if section.settle == "listing" and not lists_jobs(name):
                yield _problem((*path, "settle"), f"{name} has no list of recent jobs", "set hold")


def _problem(path: Path, wrong: str, remedy: str) -> Problem:
    return Problem(variable_name(path), wrong, remedy)


def _check_stores(settings: Settings) -> Iterator[Problem]:
    if not settings.ledger_url:
        yield _problem(("ledger_url",), "is not set, and the broker is no Redis", "set it to a Redis for the records")
    if not settings.s3.bucket:
        yield _problem(("s3", "bucket"), "is not set", "set it to the bucket that results go to")


def _check_visibility(settings: Settings) -> Iterator[Problem]:
    """A message that waits or is worked on for longer than the timeout is delivered a second time."""
    timing = settings.timing
    timeout, countdown = timing.visibility_timeout_seconds, timing.poll_countdown_max_seconds
    if timeout < 2 * countdown:
        yield _problem(
            ("timing", "visibility_timeout_seconds"),
            f"{timeout} is less than twice BIDE_TIMING__POLL_COUNTDOWN_MAX_SECONDS ({countdown:g})",
            f"set it to {2 * countdown:g} or more",
        )
    longest = max(timing.submit_timeout_seconds, settings.media.download_seconds)
    if countdown + longest > VISIBILITY_SHARE * timeout:
        yield _problem(
            ("timing", "visibility_timeout_seconds"),
            f"{timeout} is too close to the longest countdown ({countdown:g}) and step ({longest:g}) together",
            f"set it to {(countdown + longest) / VISIBILITY_SHARE:.0f} or more, or lower "
            "BIDE_TIMING__SUBMIT_TIMEOUT_SECONDS or BIDE_MEDIA__DOWNLOAD_SECONDS",
        )


def _check_steps(settings: Settings) -> Iterator[Problem]:
    timing = settings.timing
    if timing.lease_seconds <= timing.sweep_seconds:
        yield _problem(
            ("timing", "lease_seconds"),
            f"{timing.lease_seconds:g} is not above BIDE_TIMING__SWEEP_SECONDS ({timing.sweep_seconds:g})",
            "set it to twice that",
        )
    for name in ("connect_timeout_seconds", "read_timeout_seconds"):
        seconds = getattr(timing, name)
        if seconds > timing.submit_timeout_seconds:
            yield _problem(
                ("timing", name),
                f"{seconds:g} is above BIDE_TIMING__SUBMIT_TIMEOUT_SECONDS ({timing.submit_timeout_seconds:g})",
                "lower it, or raise the time-out of the whole submit",
            )


def _check_flower(settings: Settings) -> Iterator[Problem]:
    flower = settings.flower
    if (flower.user is None) != (flower.password is None):
        missing = "user" if flower.user is None else "password"
        yield _problem(("flower", missing), "is not set, its counterpart is", "set both or neither")


def _check_hooks(settings: Settings) -> Iterator[Problem]:
    if settings.hooks.url and settings.hooks.secret is None:
        wrong = "is not set, and BIDE_HOOKS__URL is"
        yield _problem(("hooks", "secret"), wrong, "set it to 24 random characters or more: openssl rand -hex 24")


def _check_secrets(section: AccountSettings, provider: str, path: Path) -> Iterator[Problem]:
    """Of several secrets that belong together some are set."""
    if not section.secrets:
        return
    given, names = section.credentials, credentials_of(provider)
    there = ", ".join(variable_name((*path, name)) for name in names if name in given)
    for name in names:
        if name not in given:
            yield _problem((*path, name), f"is not set, and {there} is", "set it to what the provider gave you")


def _check_tenants(own: AccountSettings, shared: ProviderSettings, provider: str, path: Path) -> Iterator[Problem]:
    """Caps of an account that nothing else is known of would hold for no job."""
    names = credentials_of(provider)
    elsewhere = own is shared and shared.accounts
    if own.tenants is None or own.credentials or shared.credentials or not names or elsewhere:
        return
    needed = ", ".join(variable_name((*path, name)) for name in names)
    wrong = f"caps the tenants of an account without settings: {needed} is not set"
    yield _problem((*path, "tenants"), wrong, "set that too, or remove the caps")


def _check_polls(own: AccountSettings, shared: AccountSettings, path: Path) -> Iterator[Problem]:
    first, cap, deadline = _polls(own, shared)
    if own is not shared and (first, cap, deadline) == _polls(shared, shared):
        return
    if first and cap and first > cap:
        wrong = f"{first:g} is above the cap of the delays ({cap:g})"
        yield _problem((*path, "poll_first_seconds"), wrong, "lower it or raise the cap")
    if cap and deadline and cap >= deadline:
        wrong = f"{cap:g} leaves no poll before the deadline ({deadline:g})"
        yield _problem((*path, "poll_cap_seconds"), wrong, "lower it well below the deadline")


def _polls(own: AccountSettings, shared: AccountSettings) -> tuple[float | None, float | None, float | None]:
    return (
        own.poll_first_seconds or shared.poll_first_seconds,
        own.poll_cap_seconds or shared.poll_cap_seconds,
        own.deadline_seconds or shared.deadline_seconds,
    )
