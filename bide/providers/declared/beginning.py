"""The beginning of a provider's file: its text and its samples, made of some answers about the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bide.providers.declared.paths import JsonPath
from bide.providers.declared.samples import MADE_UP

#: Where answers stand: in the file as a whole, or in the operation.
_QUESTIONS = {
    "provider.name": "name",
    "provider.base_url": "base_url",
    "provider.source": "source",
    "auth": "key",
    "submit": "submit",
    "accepted": "id",
    "poll": "poll",
    "state.done": "done",
    "state.failed": "failed",
    "state.reason": "reason",
    "state": "state",
    "result": "media",
}

#: A part of a path that stands for a value, as documentations write it.
_HOLDER = re.compile(r"(?<=/):\w+|<[\w-]+>|\$?\{\w+\}")


@dataclass(frozen=True)
class Beginning:
    """What is asked of the API: a line of its documentation answers each. Texts of several words have commas."""

    name: str
    base_url: str
    source: str
    #: A header with its value, such as `Authorization: Bearer {api_key}`.
    key: str
    operation: str
    #: Method and path.
    submit: str
    #: JSON paths, as `state`, `media` and `reason` are.
    id: str
    poll: str
    state: str
    done: str
    failed: str
    media: str
    reason: str

    @property
    def buying(self) -> tuple[str, str]:
        """Method and path of the submit."""
        return _call(self.submit, "POST", self.base_url)

    @property
    def asking(self) -> tuple[str, str]:
        """Method and path of the poll. The job's id may be written as documentations do: `:id`, `<id>`, `{task_id}`."""
        method, path = _call(self.poll, "GET", self.base_url)
        found = _HOLDER.findall(path)
        return method, path.replace(found[0], "{id}") if len(found) == 1 else path


def text(answers: Beginning) -> str:
    """The file."""
    header, _, value = answers.key.partition(":")
    submit, poll = _request(answers.buying), _request(answers.asking)
    operation = f"operations.{_key(answers.operation)}"
    return f"""# {answers.name}: written by `bide providers new`; docs/add-a-provider-in-an-hour.md says how to go on.

[provider]
name = {_text(answers.name)}
base_url = {_text(answers.base_url)}
source = {_text(answers.source)}

[auth]
headers = {{ {_key(header.strip())} = {_text(value.strip())} }}

[{operation}]
about = "What it makes, in a sentence."

[{operation}.submit]
{submit}
json = "{{params}}"

[{operation}.accepted]
id = {_text(answers.id)}

[{operation}.poll]
{poll}

[{operation}.state]
at = {_text(answers.state)}
done = {_words(answers.done)}
failed = {_words(answers.failed)}
reason = {_text(answers.reason)}

[{operation}.result]
media = {_text(answers.media)}
"""


def question_of(key: str, operation: str) -> str:
    """The question whose answer stands at a key of the file."""
    below = key.removeprefix(f"operations.{operation}.")
    for beginning, question in _QUESTIONS.items():
        if below.startswith(beginning):
            return question
    return "operation"


def samples(answers: Beginning) -> Iterator[tuple[str, dict[str, Any]]]:
    """Five samples by file name, made up of the answers: to be replaced by recorded ones."""
    done, failed = (_split(words)[0] for words in (answers.done, answers.failed))
    picture = "https://cdn.example/1.png"
    kinds: dict[str, tuple[int, Any, dict[str, Any]]] = {
        "submit": (200, _body((answers.id, "job-1")), {"is": "Submitted", "provider_job_id": "job-1"}),
        "refused": (422, {"message": "it is too long"}, {"is": "Refused", "code": "rejected"}),
        "poll-running": (200, _body((answers.state, "working")), {"is": "Running", "status": "working"}),
        "poll-success": (
            200,
            _body((answers.state, done), (answers.media, picture)),
            {"is": "Succeeded", "outputs": [{"role": "image", "url": picture}]},
        ),
        "poll-failed": (
            200,
            _body((answers.state, failed), (answers.reason, "no ink")),
            {"is": "Failed", "reason": "no ink"},
        ),
    }
    for kind, (status, body, expect) in kinds.items():
        answer = {"status": status, "headers": {}, "body": body}
        yield f"{answers.operation}--{kind}.json", {"about": MADE_UP, "answer": answer, "expect": expect}


def _call(method_and_path: str, usual: str, base_url: str) -> tuple[str, str]:
    """Method and path below the base URL, of an answer that may hold all of the address, or its path from the root."""
    method, _, path = method_and_path.strip().rpartition(" ")
    for base in (base_url, f"/{base_url.partition('://')[2].partition('/')[2]}"):
        if (base := base.rstrip("/")) and path.startswith(f"{base}/"):
            path = path.removeprefix(base)
    if "://" not in path:
        path = f"/{path.lstrip('/')}"
    return method.strip().upper() or usual, path


def _request(call: tuple[str, str]) -> str:
    return f"method = {_text(call[0])}\npath = {_text(call[1])}"


def _body(*values: tuple[str, Any]) -> Any:
    """A JSON value with these values at these paths; of a path with wildcards the first place."""
    body: Any = {}
    for path, value in values:
        place = path.replace("[*]", "[0]").replace("..", ".")
        body = _with(body, JsonPath(place).steps or (), value)
    return body


def _with(body: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        inside = body[0] if isinstance(body, list) and body else {}
        return [_with(inside, rest, value)] * (abs(step) + 1)
    return {**(body if isinstance(body, dict) else {}), step: _with(_inside(body, step), rest, value)}


def _inside(body: Any, step: str) -> Any:
    return body.get(step, {}) if isinstance(body, dict) else {}


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()] or [""]


def _words(words: str) -> str:
    return f"[{', '.join(map(_text, _split(words)))}]"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return (
        name
        if name and all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in name)
        else _text(name)
    )
