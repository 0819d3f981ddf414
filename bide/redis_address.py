"""Mistakes in the address of a Redis that its client takes no notice of, or meets when it connects."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.connection import parse_url

from bide.cluster import REMEDY, is_address
from bide.errors import ClusterError, ConfigurationError

#: The next one of several addresses that are one value.
NEXT_ADDRESS = re.compile(r";(?=[a-z]+://)")

_SENTINEL = "sentinel"

#: In place of what may be a part of a password.
HIDDEN = "***"

#: What ends the part of an address that may hold a password.
_UNESCAPED = "has a password with a character that must be escaped (? is written %3F, # %23, / %2F, @ %40)"

#: A word that may be shown: anything else may be a part of a password that was not escaped.
_PARAMETER = re.compile(r"[a-z][a-z_]{0,40}")


def check_address(url: str) -> None:
    """Raise `ConfigurationError` for an address that no client can use as it is meant; `ClusterError` for a cluster."""
    if is_address(url):
        raise ClusterError(f"{place_of(url)} is the address of a cluster, and bide needs a single Redis: {REMEDY}")
    if wrong := mistake(url):
        raise ConfigurationError(
            f"the address of the Redis at {place_of(url)} {wrong}; it looks like redis://127.0.0.1:6379/0"
        )


def place_of(url: str) -> str:
    """Host, port and database of an address, of each of several ones; never a part of a password, escaped or not."""
    parts = NEXT_ADDRESS.split(url)
    sentinels = all(part.startswith(f"{_SENTINEL}:") for part in parts)
    secret = "@" in url and not sentinels  # then a part without it may be the beginning of a password
    return ", ".join(HIDDEN if secret and "@" not in part else _place(part) for part in parts)


def _place(part: str) -> str:
    rest = part.partition("://")[2] or part
    before, *behind = re.split("[?#]", rest, maxsplit=1)
    return HIDDEN if "@" in "".join(behind) else before.rpartition("@")[2]


def mistake(url: str) -> str:
    """What is wrong with the address of a Redis, as the rest of a sentence and without secrets; '' for nothing.

    Hosts and schemes are not looked at, nor is an address of another kind of server.
    """
    parts = NEXT_ADDRESS.split(url.replace("redis+socket:", "unix:").replace("virtual_host=", "db="))  # kombu's words
    schemes = [urlsplit(part).scheme for part in parts]
    if len(parts) > 1 and set(schemes) != {_SENTINEL} and not all(each.startswith("amqp") for each in schemes):
        return "lists several servers, which sentinels alone can be: sentinel://a:26379/0;sentinel://b:26379/0"
    return next(filter(None, map(_mistake, parts)), "")


def _mistake(part: str) -> str:
    address = urlsplit(part)
    if "@" in address.query or "@" in address.fragment:
        return _UNESCAPED
    if address.scheme in ("redis", "rediss", _SENTINEL):
        database = address.path.strip("/")
        if database and not (database.isascii() and database.isdigit()):
            return "has a database that is no number: it ends with one, such as /0"
    if address.scheme not in ("redis", "rediss", "unix") or not address.query:
        return ""
    try:
        given: dict[str, Any] = parse_url(part)  # type: ignore[no-untyped-call]  # redis-py has no types here
    except ValueError:
        return "has a parameter whose value can't be read"
    kind = given.get("connection_class", redis.Connection)
    unknown = sorted(set(given) - _parameters(kind) - {"connection_class", "max_connections"})
    if not unknown:
        return ""
    if all(name in _parameters(redis.SSLConnection) for name in unknown):
        return f"has the parameter {unknown[0]}, which goes with rediss:// alone"
    shown = next(filter(_PARAMETER.fullmatch, unknown), "")
    return f"has the parameter {shown}, which there is not" if shown else "has a parameter that there is not"


@cache
def _parameters(kind: type) -> frozenset[str]:
    """The parameters that a connection of redis-py takes."""
    return frozenset(name for each in kind.__mro__ for name in inspect.signature(each).parameters)
