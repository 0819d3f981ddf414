"""Addresses in the settings: their checks, and their form without secrets."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import core_schema

from bide import cluster
from bide.addresses import web_address
from bide.redis_address import NEXT_ADDRESS, mistake

REDIS_SCHEMES = frozenset({"redis", "rediss", "unix", "sentinel"})
AMQP_SCHEMES = frozenset({"amqp", "amqps"})

_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]+")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?)(:(?P<port>[0-9]{1,5}))?")


class ServerUrl(str):
    """The address of a Redis or a broker: a plain string for its client, masked in every `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked(self))

    @property
    def scheme(self) -> str:
        return urlsplit(self).scheme

    @property
    def passwords(self) -> tuple[str, ...]:
        return tuple(filter(None, (urlsplit(part).password for part in NEXT_ADDRESS.split(self))))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, handler(str))


def is_loopback(host: str) -> bool:
    """Whether an address to listen on, or the host of a request, is this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def masked(address: str) -> str:
    """The address with passwords starred out, also where they were not escaped as they should be."""
    return ";".join(_masked_part(part) for part in NEXT_ADDRESS.split(address))


def _masked_part(part: str) -> str:
    scheme, separator, rest = _SECRET_PARAMETER.sub(r"\1***", part).partition("://")
    credentials, at, host = rest.rpartition("@")
    if not at:
        return scheme + separator + rest
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user if colon else ''}{colon}***@{host}"


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
        (parts.hostname or "").encode("idna")  # as a resolver does
    except ValueError:
        raise ValueError("is not an address that can be read") from None
    return parts


def _server(address: ServerUrl, *, schemes: frozenset[str]) -> ServerUrl:
    if address.startswith("redis+socket://"):  # kombu's scheme
        address = ServerUrl(address.replace("redis+socket", "unix", 1).replace("virtual_host=", "db="))
    if cluster.is_address(address):
        raise ValueError(f"is the address of a cluster, and bide needs a single Redis: {cluster.REMEDY}")
    for part in NEXT_ADDRESS.split(address):
        parts = _split(part)
        if parts.scheme not in schemes:
            raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in sorted(schemes))}")
        if not (parts.path if parts.scheme == "unix" else parts.hostname):
            raise ValueError(f"names no {'socket' if parts.scheme == 'unix' else 'host'}")
    if wrong := mistake(address):
        raise ValueError(wrong)
    return address


def _redis(address: ServerUrl) -> ServerUrl:
    return _server(address, schemes=REDIS_SCHEMES)


def _broker(address: ServerUrl) -> ServerUrl:
    return _server(address, schemes=REDIS_SCHEMES | AMQP_SCHEMES)


def _web(address: str) -> str:
    parts = _split(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or fragment")
    web_address(address)
    return address.rstrip("/")


def _hook(address: str) -> str:
    """Providers call https alone; a name without a dot is of this machine or this network, where no provider calls."""
    parts = _split(address)
    host = parts.hostname or ""
    if parts.scheme == "http" and "." in host and host != "127.0.0.1":
        raise ValueError("must begin with https://")
    return address


def _host(entry: str) -> str:
    found = _HOST.fullmatch(entry)
    if not found or int(found["port"] or 1) not in range(1, 65536):
        raise ValueError("must be host or host:port, without scheme or path")
    return entry.lower()


RedisUrl = Annotated[ServerUrl, AfterValidator(_redis)]
BrokerUrl = Annotated[ServerUrl, AfterValidator(_broker)]
WebUrl = Annotated[str, AfterValidator(_web)]
HookUrl = Annotated[WebUrl, AfterValidator(_hook)]
MediaHost = Annotated[str, AfterValidator(_host)]
