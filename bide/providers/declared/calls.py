"""The requests of a provider's file, compiled once: values in, a `Call` out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from bide.providers.declared.request_tables import CallTable, SubmitTable
from bide.providers.declared.sections import OperationTable
from bide.providers.declared.templates import (
    ABSENT,
    SPREAD,
    Fill,
    UnfilledError,
    Values,
    as_text,
    compiled,
    compiled_path,
    holders,
)
from bide.providers.exchange import Account, Call


def texts(templates: Mapping[str, str]) -> Callable[[Values], dict[str, str]]:
    """What makes the headers, or the fields of a query: those whose value is absent are left out."""
    fills = [(name, compiled(template)) for name, template in templates.items()]
    if not fills:
        return lambda _: {}

    def fill(values: Values) -> dict[str, str]:
        return {name: as_text(value) for name, each in fills if (value := each(values)) is not ABSENT}

    return fill


def request(table: CallTable, headers: Mapping[str, str]) -> Callable[[Values, Account], Call]:
    """What makes the call of a table, with these headers besides its own.

    It raises `UnfilledError` where a value is not there.
    """
    address = _address(table)
    all_headers, query = texts({**headers, **table.headers}), texts(table.query)
    body = compiled(table.json_) if table.json_ is not None else None
    hook = _hook(table) if isinstance(table, SubmitTable) else None
    form = compiled(table.form) if table.form is not None else None
    method, limit = table.method, table.max_answer_bytes

    def make(values: Values, account: Account) -> Call:
        content = body(values) if body else None
        if hook and (extra := hook(values)):
            content = {**(content or {}), **extra}
        return Call(
            method,
            address(values, account),
            headers=all_headers(values),
            query=query(values),
            json=None if content is ABSENT else content,
            form=None if form is None else _form(form(values)),
            max_answer_bytes=limit,
        )

    return make


def _address(table: CallTable) -> Callable[[Values, Account], str]:
    path = compiled_path(table.path) if table.path else None
    url = compiled(table.url) if table.url else None

    def below(values: Values, account: Account) -> str:
        return account.url(path(values) if path else "")

    def whole(values: Values, account: Account) -> str:
        try:
            found = url(values) if url else ABSENT
        except UnfilledError:
            if path is None:
                raise
            return below(values, account)
        if isinstance(found, str) and found:
            return found
        if path is None:
            raise UnfilledError(f"{table.url}: is no address")
        return below(values, account)

    return whole if url else below


def _hook(table: SubmitTable) -> Callable[[Values], dict[str, Any]] | None:
    if table.hook is None:
        return None
    fields, unless = compiled(table.hook.json_), compiled(table.hook.unless) if table.hook.unless else None

    def fill(values: Values) -> dict[str, Any]:
        if "hook" not in values or (unless and _holds(unless, values)):
            return {}
        found = fields(values)
        return found if isinstance(found, dict) else {}

    return fill


def _holds(template: Fill, values: Values) -> bool:
    try:
        found = template(values)
    except UnfilledError:
        return False
    return found is not ABSENT and bool(found)


def _form(fields: Any) -> dict[str, str | tuple[str, bytes, str]]:
    """Fields of a multipart body: files as they are, all else as text, null left out."""
    found = fields.items() if isinstance(fields, dict) else ()
    return {name: value if isinstance(value, tuple) else as_text(value) for name, value in found if value is not None}


def may_lack(table: OperationTable) -> bool:
    """Whether the params that pass their check may still lack what the submit's templates need.

    Only then is the call made once as a check. It may where a template names a param that need not be there, or one
    whose value may not fit its place.
    """
    params, submit = table.params or {}, table.submit
    sure = {name for name, each in params.items() if each.required or each.default is not None}
    wholes = {name for name, each in params.items() if each.type in (["object"], ["array"])}
    if any(holders(submit.path or "")) or submit.url:
        return True
    templates = [submit.query, submit.headers, submit.json_, submit.form, submit.hook and submit.hook.json_]
    for holder in holders(templates):
        if not holder.optional and not any(_is_sure(name, sure) for name in holder.names):
            return True
    return any(name[1] not in wholes for name in _spread(templates) if name[0] == "params" and len(name) > 1)


def _is_sure(name: tuple[str, ...], params: Collection[str]) -> bool:
    """Whether a placeholder's name is that of something which every submit has; `params`: those it has."""
    if name[0] not in ("params", "inputs") or len(name) == 1:
        return True
    return name[0] == "params" and len(name) == 2 and name[1] in params


def _spread(value: Any) -> Iterator[tuple[str, ...]]:
    """The names of all that is put in whole."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if key == SPREAD:
                yield from (name for holder in holders(entry) for name in holder.names)
            else:
                yield from _spread(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _spread(entry)
