"""`bide describe`: what an operation takes, with type, default and source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bide.cli.completion import complete_operation, complete_provider
from bide.cli.connection import deployment_environment
from bide.cli.output import echo, echo_json

if TYPE_CHECKING:
    from bide.pricing import Quotes
    from bide.providers.base import Provider


@click.command()
@click.argument("provider", shell_complete=complete_provider)
@click.argument("operation", required=False, shell_complete=complete_operation)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def describe(provider: str, operation: str | None, as_json: bool) -> None:
    """Tell what a provider's operations take: each parameter with its type, default and meaning; and what they cost."""
    from bide.bulk.rates import environment_quotes  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.errors import InvalidRequestError  # noqa: PLC0415 - beside those that are slow to import
    from bide.pricing import Quotes  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.providers import find  # noqa: PLC0415 - the adapters are loaded only where they are shown

    adapter = find(provider)
    if operation is not None and operation not in adapter.operations:
        raise click.UsageError(f"{provider} has no operation {operation!r}; there are {', '.join(adapter.operations)}")
    try:
        quotes = environment_quotes(deployment_environment())
    except InvalidRequestError as error:  # what this shows helps to correct them
        echo("the prices of the settings are not shown:", str(error), "", err=True)
        quotes = Quotes()
    found = [described(adapter, name, quotes) for name in ([operation] if operation else sorted(adapter.operations))]
    if as_json:
        echo_json(found)
    else:
        for each in found:
            echo(*_lines(each))


def described(adapter: Provider, name: str, quotes: Quotes) -> dict[str, Any]:
    """What an operation takes and costs, as JSON."""
    from bide.cli.describe_prices import prices_of  # noqa: PLC0415 - slow to import, and --help does not need it

    operation = adapter.operations[name]
    schema = operation.params.model_json_schema()
    return {
        "provider": adapter.name,
        "operation": name,
        "about": " ".join((operation.params.__doc__ or "").split()),
        "params": [
            _param(param, field, required=param in schema.get("required", ()), schema=schema)
            for param, field in schema.get("properties", {}).items()
        ],
        "inputs": operation.inputs.value if operation.inputs else None,
        "required_inputs": sorted(operation.required_inputs),
        "others": sorted(operation.params.others),
        "others_pass": operation.params.model_config.get("extra") != "forbid",
        "deadline_seconds": adapter.deadline_for(name),
        "credentials": [f"BIDE_PROVIDERS__{adapter.name.upper()}__{each.upper()}" for each in adapter.credentials],
        "prices": prices_of(adapter, name, quotes),
        "source": adapter.source or None,
    }


def _param(name: str, field: dict[str, Any], *, required: bool, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": _type(field, schema.get("$defs", {})),
        "required": required,
        "default": field.get("default"),
        "about": field.get("description", ""),
    }


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A field of a JSON Schema in words; null is left out, since a field without a value is left out, too."""
    if reference := field.get("$ref"):
        return _type(definitions[reference.rpartition("/")[2]], definitions)
    if "enum" in field or "const" in field:
        return "one of " + ", ".join(map(str, field.get("enum", [field.get("const")])))
    if kinds := [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]:
        return " or ".join(_type(kind, definitions) for kind in kinds)
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    return str(field.get("type", "any"))


def _lines(described: dict[str, Any]) -> list[str]:
    from bide.cli.describe_prices import price_lines  # noqa: PLC0415 - slow to import, and --help does not need it

    rows = [
        (param["name"], param["type"], "required" if param["required"] else _default(param), param["about"])
        for param in described["params"]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    pictures = f"pictures as {described['inputs']}" if described["inputs"] else "no pictures"
    needed = f", needs {', '.join(described['required_inputs'])}" if described["required_inputs"] else ""
    others = "others pass to the provider as they are" if described["others_pass"] else "there are no others"
    documented = ", ".join(described["others"])
    return [
        f"{described['provider']} {described['operation']}: {described['about']}",
        *("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows),
        *([f"  documented besides, and not checked: {documented}"] if documented else []),
        f"  {others}; {pictures}{needed}; deadline {described['deadline_seconds']:g} s",
        f"  its account: {', '.join(described['credentials']) or 'takes no key'}",
        *(f"  {line}" for line in price_lines(described["prices"])),
        *([f"  source: {described['source']}"] if described["source"] else []),
        "",
    ]


def _default(param: dict[str, Any]) -> str:
    return "" if param["default"] is None else f"default {param['default']}"
