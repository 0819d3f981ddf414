"""The wire as JSON Schema, for services in other languages: `python -m bide.schema docs/schema` writes it anew.

The schemas say what a program can check alone. What an adapter checks beyond that (a prompt or a preset, a picture that
a tool needs) comes back as `invalid_request`, before anything is bought.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bide.contract import CallbackEvent, Failure, GenerateRequest, JobResult
from bide.providers import installed
from bide.receipts import Receipts

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def documents() -> dict[str, str]:
    """All schemas as text, by file name: those of what travels, and one for the params of each operation."""
    found = {
        "request.json": request_schema(),
        "result.json": answer_schema(JobResult),
        "failure.json": answer_schema(Failure),
        "callback.json": answer_schema(CallbackEvent),
        "receipts.json": answer_schema(Receipts),
        **{f"params/{provider}.{operation}.json": schema for (provider, operation), schema in params().items()},
    }
    return {name: json.dumps({"$schema": DIALECT, **schema}, indent=2) + "\n" for name, schema in found.items()}


def params() -> dict[tuple[str, str], Schema]:
    """The params of each operation of all installed providers."""
    return {
        (name, operation): offered.params.model_json_schema()
        for name, adapter in sorted(installed().items())
        for operation, offered in sorted(adapter.operations.items())
    }


def request_schema() -> Schema:
    """The schema of a request: its fields, and the `params` of each provider and operation."""
    schema = GenerateRequest.model_json_schema()
    known: dict[str, Schema] = {f"{provider}.{operation}": it for (provider, operation), it in params().items()}
    inner: Schema = {}
    for it in known.values():
        inner |= it.pop("$defs", {})
    schema["$defs"] = {**schema.get("$defs", {}), **inner, **known}
    schema["allOf"] = [
        {
            "if": {"properties": {"provider": {"const": provider}, "operation": {"const": operation}}},
            "then": {"properties": {"params": {"$ref": f"#/$defs/{provider}.{operation}"}}, "required": ["params"]},
        }
        for provider, operation in params()
    ]
    return schema


def answer_schema(model: type[BaseModel]) -> Schema:
    """The schema of an answer of bide. It lets unknown fields pass, since fields may be added one day."""
    schema = model.model_json_schema(mode="serialization")
    for each in (schema, *schema.get("$defs", {}).values()):
        each.pop("additionalProperties", None)
    return schema


def write(folder: Path) -> None:
    """Make `folder` hold the schemas and no other JSON file."""
    wanted = documents()
    for stale in sorted(folder.rglob("*.json")):
        if str(stale.relative_to(folder)) not in wanted:
            stale.unlink()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main() -> None:
    """Write the schemas into the folder that is named."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bide.schema FOLDER")
    write(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
