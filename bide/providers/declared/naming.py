"""What a provider's file must name: the job in each request about it, and each secret in what is sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bide.providers.declared.agreement import table_at, tables
from bide.providers.declared.mistakes import Mistake, Source
from bide.providers.declared.positions import Key
from bide.providers.declared.templates import holders

#: The requests about one job, with their addresses, and the words about one that does not name it.
_ABOUT_A_JOB: Mapping[str, Collection[str]] = {"poll": ("path", "url"), "result": ("path",), "cancel": ("path", "url")}
_NO_JOB = "names no job: every job would be asked for in the same words"

#: A part of a path that stands for a value in many documentations.
_OTHER_HOLDER = re.compile(r"(?<=/)(:\w+|<[\w-]+>|\$\{?\w+\}?)(?=/|$)")


def named(source: Source, secrets: Collection[str]) -> Iterator[Mistake]:
    """All that is not named and must be."""
    for name, operation in tables(source.document, "operations"):
        for call, addresses in _ABOUT_A_JOB.items():
            yield from _job(source, ("operations", name, call), table_at(operation, call), addresses)
    yield from _secrets(source, secrets if any(tables(source.document, "operations")) else ())


def _secrets(source: Source, secrets: Collection[str]) -> Iterator[Mistake]:
    sent = {name for texts in _sent(source.document) for name in _names(texts)}
    for secret in secrets:
        if secret not in sent:
            example = f'headers = {{ Authorization = "Bearer {{{secret}}}" }}'
            remedy = f"put {{{secret}}} where the key goes, as in {example}; credentials = [] says there is none"
            yield source.mistake(("auth", "headers"), f"{secret} is sent nowhere", remedy)


def _job(source: Source, key: Key, table: Mapping[str, Any], addresses: Collection[str]) -> Iterator[Mistake]:
    """Each address of the request names the job, unless its query, headers or body do."""
    if any(_names_job(table.get(part)) for part in ("query", "headers", "json", "form")):
        return
    for place in addresses:
        text = table.get(place)
        if isinstance(text, str) and text and not _names_job(text):
            yield source.mistake((*key, place), _NO_JOB, _where_the_job_goes(text))


def _where_the_job_goes(text: str) -> str:
    if found := _OTHER_HOLDER.search(text):
        return f"did you mean {text[: found.start()]}{{id}}{text[found.end() :]}?"
    return "put {id} where the documentation has the job's id, or a {handle.NAME}"


def _names_job(value: Any) -> bool:
    return not {"id", "handle"}.isdisjoint(_names(value))


def _sent(document: Mapping[str, Any]) -> Iterator[Any]:
    """The headers of every call, and all requests."""
    yield table_at(document, "auth").get("headers")
    for _, operation in tables(document, "operations"):
        yield from (table_at(operation, call) for call in ("submit", *_ABOUT_A_JOB))
    yield from (catalog for _, catalog in tables(document, "catalogs"))


def _names(value: Any) -> set[str]:
    """What the placeholders of a template name. One that can't be parsed is a mistake of its own: its words count."""
    try:
        return {name[0] for holder in holders(value) for name in holder.names}
    except ValueError:
        return set(re.findall(r"\w+", str(value)))
