"""Files of providers for tests: one without mistakes, what may be added to it, and the mistakes of others."""

from __future__ import annotations

from pathlib import Path

from bide.providers import in_python
from bide.providers.declared.files import read
from bide.providers.declared.mistakes import Mistake, MistakesError

#: A file without mistakes.
GOOD = """\
[provider]
name = "inkwell"
base_url = "https://api.inkwell.example/v1"

[auth]
headers = { Authorization = "Bearer {api_key}" }

[operations.draw]
params.text = { type = "string", required = true }
params.n = { type = "integer" }
lane = "{params.text}"
price = { "*" = "0.02" }

[operations.draw.submit]
path = "/ink"
json = "{params}"

[operations.draw.accepted]
id = "$.ink_id"
handle = { status = "$.status_url" }

[operations.draw.poll]
path = "/ink/{id}"

[operations.draw.state]
at = "$.state"
running = ["drying"]
done = ["dry"]
failed = ["spilled"]

[operations.draw.result]
media = "$.address"
"""


#: Further tables, so that each type of key stands somewhere.
MORE = """
[operations.draw.params.size]
type = ["integer", "string"]
default = 3
minimum = 1
maximum = 4

[operations.draw.cancel]
method = "PUT"
path = "/ink/{id}"
stopped = 200

[operations.draw.state.cause]
moderated = "blocked"

[operations.draw.idempotency]
contract = "replay"
live_seconds = 60

[catalogs.inks]
path = "/inks"
entries = ["$.a", "$"]
"""


def mistakes_of(*texts: str | bytes, folder: Path, name: str = "inkwell") -> list[Mistake]:
    """The mistakes of files with these texts, each in a folder of its own."""
    files = []
    for number, text in enumerate(texts):
        file = folder / str(number) / f"{name}.toml"
        file.parent.mkdir()
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        files.append(file)
    try:
        read(files, in_python())
    except MistakesError as error:
        return list(error.mistakes)
    return []


def with_line(old: str, new: str) -> str:
    """The good file with a line exchanged."""
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)
