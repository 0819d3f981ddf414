"""Who may see the pages, and who may press a button: login, origin and token of each request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from aiohttp import web

from bide.settings.addresses import is_loopback
from bide.settings.sections import FlowerSettings

#: Flower's own variable: names and passwords, `anna:secret,bert:secret`.
FLOWER_USERS = "FLOWER_BASIC_AUTH"

#: The user's name on pages that ask for no login: they can be reached from this machine alone.
NO_LOGIN = "an operator without login"

#: The field of a form that holds its token.
TOKEN_FIELD = "token"  # noqa: S105 - the name of a field

#: What a browser may load: our own style, script and pictures, and nothing that stands in a page itself.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

#: Headers of each answer that does not set them itself.
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with less, browsers send no origin along with a form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Users:
    """Those who may log in, by `name:password`; nobody has to where there are none."""

    def __init__(self, credentials: Iterable[str]) -> None:
        given = [each.partition(":") for each in credentials]
        self._digests = {_digest("".join(each)): each[0] for each in given}
        #: What logs must not show.
        self.passwords = tuple(filter(None, (password for _, _, password in given)))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def name_of(self, authorization: str) -> str | None:
        """The name in a header `Authorization`, if its password is right; all take the same time to be refused."""
        kind, _, given = authorization.partition(" ")
        try:
            decoded = base64.b64decode(given, validate=True).decode() if kind.lower() == "basic" else ""
        except (binascii.Error, ValueError):
            decoded = ""
        known = None
        for digest, name in self._digests.items():
            if hmac.compare_digest(digest, _digest(decoded)):
                known = name
        return known


def users_of(flower: FlowerSettings, environ: Mapping[str, str]) -> Users:
    """Those whom Flower lets in, by its own variable or by ours."""
    if own := [each for each in environ.get(FLOWER_USERS, "").split(",") if each]:
        return Users(own)
    return Users([f"{flower.user}:{flower.password.get_secret_value()}"] if flower.password else [])


class Guard:
    """Lets requests in: `user` gives the name or raises, `check_form` holds a form against our own pages."""

    def __init__(self, users: Users, *, url: str | None) -> None:
        self._users = users
        self._own_hosts = {urlsplit(url).netloc} if url else set[str]()
        self._key = secrets.token_bytes(32)

    def user(self, request: web.Request) -> str:
        """The name of the user; raises 401, or 403 for a foreign name of this machine where nobody logs in."""
        if not self._users:
            if not is_loopback(_hostname(request.host)):  # else a page elsewhere could get at us by a name of its own
                raise web.HTTPForbidden(text="these pages ask for no login and answer to 127.0.0.1 alone")
            return NO_LOGIN
        name = self._users.name_of(request.headers.get("Authorization", ""))
        if name is None:
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": 'Basic realm="bide", charset="UTF-8"'}, text="name and password, please"
            )
        return name

    def token(self, user: str, path: str) -> str:
        """What a form that posts to `path` must bring along; it is good for this user until the process ends."""
        return hmac.new(self._key, f"{user}\n{path}".encode(), hashlib.sha256).hexdigest()

    def check_form(self, request: web.Request, form: Mapping[str, object], user: str) -> None:
        """Raise 403 for a form that did not come from a page of ours."""
        origin = urlsplit(request.headers.get("Origin", "")).netloc
        if not origin or origin not in {request.host, *self._own_hosts}:
            raise web.HTTPForbidden(text="this form came from another site's page: nothing was done")
        given = str(form.get(TOKEN_FIELD, ""))
        if not hmac.compare_digest(given.encode(), self.token(user, request.path).encode()):
            raise web.HTTPForbidden(text="this form is of another login, or older than these pages: open it again")


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
