"""The requests of a provider's file, compiled once: values in, a `Call` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bide.providers.declared.request_tables import CallTable, SubmitTable
from bide.providers.declared.templates import ABSENT, Fill, UnfilledError, Values, as_text, compiled, compiled_path
from bide.providers.exchange import Account, Call


def texts(templates: Mapping[str, str]) -> Callable[[Values], dict[str, str]]:
    """What makes the headers, or the fields of a query: those whose value is absent are left out."""
    fills = [(name, compiled(template)) for name, template in templates.items()]

    def fill(values: Values) -> dict[str, str]:
        found = ((name, each(values)) for name, each in fills)
        return {name: as_text(value) for name, value in found if value is not ABSENT}

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
