"""What is checked in a provider's file besides the types of its keys: templates that name nothing, words that clash.

It looks at the document as it was read, so that it finds its mistakes beside those of the types, all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bide.providers.declared.agreement import agreed, fields_of, known_inputs, known_params, table_at, tables
from bide.providers.declared.mistakes import Mistake, Source
from bide.providers.declared.naming import named
from bide.providers.declared.positions import Key
from bide.providers.declared.templates import SPREAD, Holder, parse
from bide.spelling import nearest

#: What placeholders may name besides the secrets, by the table that they stand in.
_OF_SUBMIT = ("params", "inputs", "job_id", "operation", "key", "hook")
_OF_TICKET = ("id", "handle")

#: The tables of an operation with a request in them.
_CALLS = {"submit": _OF_SUBMIT, "poll": _OF_TICKET, "result": _OF_TICKET, "cancel": _OF_TICKET}


def checked(source: Source) -> Iterator[Mistake]:
    """All of these mistakes."""
    secrets = _secrets(source.document)
    yield from _secret_names(source, secrets)
    yield from named(source, secrets)
    yield from _templates(source, ("auth", "headers"), table_at(source.document, "auth").get("headers"), secrets)
    for name, operation in tables(source.document, "operations"):
        yield from _operation(source, ("operations", name), operation, secrets)
    for name, catalog in tables(source.document, "catalogs"):
        key: Key = ("catalogs", name)
        arguments = catalog.get("arguments")
        known = arguments if isinstance(arguments, list) else []
        yield from _call(source, key, catalog, ("arguments",), secrets, {"arguments": known})
        if not catalog.get("path") and not catalog.get("url"):
            yield source.mistake((*key, "path"), "is missing", "set it to the path below the base URL")


def _operation(source: Source, key: Key, operation: Mapping[str, Any], secrets: Collection[str]) -> Iterator[Mistake]:
    fields = fields_of(operation)
    handle = list(table_at(table_at(operation, "accepted"), "handle"))
    for name, roots in _CALLS.items():
        table = table_at(operation, name)
        if name not in operation:
            continue
        known = {"params": known_params(operation), "inputs": known_inputs(operation), "handle": handle}
        yield from _call(source, (*key, name), table, roots, secrets, known, fields)
        if name != "result" and not (table.get("path") or table.get("url")):
            yield source.mistake(
                (*key, name, "path"), "is missing", "set it to the path below the base URL, or set url"
            )
    yield from _conditional(source, key, operation)
    if isinstance(lane := operation.get("lane"), str):
        yield from _template(source, (*key, "lane"), lane, ("params",), {"params": known_params(operation)}, fields)
    yield from agreed(source, key, operation)


def _call(
    source: Source,
    key: Key,
    table: Mapping[str, Any],
    roots: Collection[str],
    secrets: Collection[str],
    known: Mapping[str, Collection[str] | None],
    fields: Mapping[str, Any] | None = None,
) -> Iterator[Mistake]:
    """A request's templates. A secret has no place in an address, which logs and proxies keep."""
    everywhere = (*roots, *secrets)
    for name in ("path", "url"):
        if isinstance(text := table.get(name), str):
            yield from _template(source, (*key, name), text, roots, known, fields, in_path=name == "path")
    for name, text in table_at(table, "query").items():
        yield from _template(source, (*key, "query", name), text, roots, known, fields)
    for name, text in table_at(table, "headers").items():
        yield from _template(source, (*key, "headers", name), text, everywhere, known, fields)
    for name in ("json", "form"):
        yield from _json(source, (*key, name), table.get(name), everywhere, known, fields)
    if isinstance(hook := table.get("hook"), dict):
        yield from _json(source, (*key, "hook", "json"), hook.get("json"), everywhere, known, fields)
        yield from _template(source, (*key, "hook", "unless"), hook.get("unless"), everywhere, known, None)
    if table.get("json") is not None and table.get("form") is not None:
        yield source.mistake((*key, "form"), "stands beside json", "a request has one body: take one of them out")


def _templates(source: Source, key: Key, texts: Any, roots: Collection[str]) -> Iterator[Mistake]:
    for name, text in texts.items() if isinstance(texts, dict) else ():
        yield from _template(source, (*key, name), text, roots, {}, None)


def _json(
    source: Source,
    key: Key,
    value: Any,
    roots: Collection[str],
    known: Mapping[str, Collection[str] | None],
    fields: Mapping[str, Any] | None,
) -> Iterator[Mistake]:
    """All texts of a JSON template."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _json(source, (*key, name), entry, roots, known, fields)
            if name == SPREAD and not all(
                isinstance(it, str) for it in (entry if isinstance(entry, list) else [entry])
            ):
                yield source.mistake(
                    (*key, name), "is no placeholder", 'set it to one such as "{params}", or a list of them'
                )
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _json(source, (*key, number), entry, roots, known, fields)
    else:
        yield from _template(source, key, value, roots, known, fields)


def _template(
    source: Source,
    key: Key,
    text: Any,
    roots: Collection[str],
    known: Mapping[str, Collection[str] | None],
    fields: Mapping[str, Any] | None,
    *,
    in_path: bool = False,
) -> Iterator[Mistake]:
    """One text. `known`: the names below a root, None where any may stand there; `fields`: the params declared."""
    if not isinstance(text, str):
        return
    try:
        pieces = parse(text)
    except ValueError as error:
        yield source.mistake(key, str(error), "correct the template")
        return
    for holder in (piece for piece in pieces if isinstance(piece, Holder)):
        for name in holder.names:
            if name[0] in _secrets(source.document) and name[0] not in roots:
                remedy = "logs keep addresses: put it into a header or the body"
                yield source.mistake(key, f"{{{name[0]}}} is a secret", remedy)
            elif problem := _unknown(name, roots, known):
                yield source.mistake(key, f"{{{'.'.join(name)}}} names nothing", problem)
        if in_path and holder.optional:
            yield source.mistake(key, f"{{{holder}?}} may be absent in a path", "take out its question mark")
        if not in_path and holder.keeps_slashes:
            yield source.mistake(key, f"{{+{holder}}} stands in no path", "take out its plus")
        if fields is not None and (problem := _may_be_absent(holder, fields)):
            yield source.mistake(key, f"{{{holder}}} may be absent", problem)


def _unknown(name: tuple[str, ...], roots: Collection[str], known: Mapping[str, Collection[str] | None]) -> str:
    """The remedy for a placeholder that names nothing; '' for one that does."""
    if name[0] not in roots:
        meant = nearest(name[0], roots)
        return f"did you mean {meant}?" if meant else f"here it may name {', '.join(sorted(roots))}"
    below = known.get(name[0])
    if len(name) > 1 and name[0] in known and below is not None and name[1] not in below:
        meant = nearest(name[1], below)
        there = f"there are {', '.join(sorted(below))}" if below else "there is none"
        return f"did you mean {name[0]}.{meant}?" if meant else there
    if len(name) > 1 and name[0] not in known:
        return f"{name[0]} has nothing below it"
    return ""


def _may_be_absent(holder: Holder, fields: Mapping[str, Any]) -> str:
    """The remedy for a param that a request may lack."""
    params = [name[1] for name in holder.names if name[0] == "params" and len(name) > 1]
    if holder.optional or len(params) != len(holder.names):
        return ""
    for name in params:
        field = fields.get(name)
        if not isinstance(field, dict) or field.get("required") or field.get("default") is not None:
            return ""
    return f"make it {{{holder}?}}, or the param required, or give it a default"


def _conditional(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    """What a submit has only sometimes: the address for the provider's calls, and the key of an idempotent submit."""
    submit = {name: value for name, value in table_at(operation, "submit").items() if name != "hook"}
    for place, holder in _placed((*key, "submit"), submit):
        roots = {name[0] for name in holder.names}
        if roots == {"hook"} and not holder.optional:
            remedy = "make it {hook?}, or put the field into submit.hook"
            yield source.mistake(place, "{hook} is absent where the deployment has no endpoint", remedy)
        if "key" in roots and "idempotency" not in operation:
            yield source.mistake(place, "{key} needs a promise of the API", "add the table idempotency")


def _placed(key: Key, value: Any) -> Iterator[tuple[Key, Holder]]:
    """All placeholders of a template, with their places."""
    if isinstance(value, dict | list):
        for name, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _placed((*key, name), entry)
    elif isinstance(value, str):
        try:
            yield from ((key, piece) for piece in parse(value) if isinstance(piece, Holder))
        except ValueError:
            return  # the template itself is a mistake already


def _secret_names(source: Source, secrets: Collection[str]) -> Iterator[Mistake]:
    for name in secrets:
        if name in (*_OF_SUBMIT, *_OF_TICKET, "arguments"):
            yield source.mistake(
                ("auth", "credentials"), f"{name!r} has another meaning in templates", "name it otherwise"
            )


def _secrets(document: Mapping[str, Any]) -> list[str]:
    listed = table_at(document, "auth").get("credentials", ["api_key"])
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else ["api_key"]
