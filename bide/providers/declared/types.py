"""The types of keys in a provider's file: paths, words, codes, addresses, each with what is wrong of a bad one."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from bide.contract import Charged
from bide.providers.declared.paths import JsonPath
from bide.providers.idempotency import Contract
from bide.providers.offering import MediaKind

_HOLDER = re.compile(r"\{[^{}]*\}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
OPERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HOST = re.compile(
    r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:\d{1,5})?"
)
#: A name of a header, RFC 9110, 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _path(value: object) -> object:
    return JsonPath(value) if isinstance(value, str) else value


def as_list(value: object) -> object:
    """One where several may stand."""
    return value if isinstance(value, list) else [value]


def _singular(path: JsonPath) -> JsonPath:
    if path.steps is None:
        raise ValueError("may find several places where one is meant; leave out wildcards, filters and ..")
    return path


def _words(value: object) -> object:
    words = as_list(value)
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError("must be a word or a list of words")
    return frozenset(word.strip().lower() for word in words)


def _web(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise ValueError("is no http(s) address")
    if url.query or url.fragment or "@" in url.netloc:
        raise ValueError("must be an address without user, query and fragment")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text) or ("*." in text and "." not in text[2:]):
        raise ValueError("is no host, host:port, or *.host.tld")
    return text


def _below(path: str) -> str:
    if "://" in path:
        raise ValueError("is a whole address; leave out what base_url has")
    if not path.startswith("/") or re.search(r"[?#]", _HOLDER.sub("", path)):
        raise ValueError("must begin with a slash, and have neither ? nor #, since fields of a query go into query")
    return path


def _header(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError('is no name of a header; it comes first, as in { Authorization = "Bearer {api_key}" }')
    return name


def _json(value: object) -> object:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("holds what JSON can't: a date, a time, inf or nan; write it in quotes") from None
    return value


def _method(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _enum(kind: type) -> BeforeValidator:
    def convert(value: object) -> object:
        try:
            return kind(value)
        except ValueError:
            names = ", ".join(sorted(kind))  # type: ignore[call-overload]  # a StrEnum, which mypy takes for a type
            raise ValueError(f"must be one of {names}") from None

    return BeforeValidator(convert)


Path = Annotated[JsonPath, BeforeValidator(_path)]
OnePath = Annotated[JsonPath, BeforeValidator(_path), AfterValidator(_singular)]
Paths = Annotated[list[Path], BeforeValidator(as_list), Field(min_length=1)]
OnePaths = Annotated[list[OnePath], BeforeValidator(as_list), Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]
Headers = dict[Annotated[str, AfterValidator(_header)], str]
Words = Annotated[frozenset[str], BeforeValidator(_words)]
Code = Annotated[int, Field(ge=100, le=599)]
Codes = Annotated[list[Code], BeforeValidator(as_list)]
Seconds = Annotated[float, Field(gt=0)]
Method = Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], BeforeValidator(_method)]
Kind = Annotated[MediaKind, _enum(MediaKind)]
Type = Literal["string", "integer", "number", "boolean", "object", "array", "any"]
ChargedWord = Annotated[Charged, _enum(Charged)]
ContractWord = Annotated[Contract, _enum(Contract)]
Address = Annotated[str, AfterValidator(_web)]
Host = Annotated[str, AfterValidator(_host)]
Below = Annotated[str, AfterValidator(_below)]
Json = Annotated[Any, AfterValidator(_json)]
JsonTable = Annotated[dict[str, Any], AfterValidator(_json)]
