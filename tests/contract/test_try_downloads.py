"""What `bide providers try` saves is fetched and judged as a worker does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from tests.background import answering
from tests.media import png
from workers.try_provider import main as try_main

KEY = "planted-key-0123456789"

FILE = """\
[provider]
name = "inkwell"
poll = { first_seconds = 0.01, cap_seconds = 0.01 }

[auth]
headers = { X-Key = "{api_key}" }
media = true

[operations.draw]
submit.path = "/draw"
accepted.id = "$.id"
poll.path = "/jobs/{id}"
state.at = "$.state"
result.media = "$.address"

[operations.sing]
kinds = ["audio"]
submit.path = "/sing"
accepted.id = "$.id"
poll.path = "/jobs/{id}"
state.at = "$.state"
result.media = "$.address"
"""


class Inkwell:
    """A service whose job names this picture; each request to it, and whether it had the key."""

    picture = ""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    def app(self) -> web.Application:
        """What answers."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.get("X-Key") == KEY))
        if request.path.endswith(".png"):
            return web.Response(body=png(), content_type="image/png")
        return web.json_response({"state": "done", "address": self.picture})


@pytest.fixture
def inkwell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inkwell]:
    """The service, and its file in the folder of the test."""
    (tmp_path / "inkwell.toml").write_text(FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOTENV", str(tmp_path / ".env"))
    service = Inkwell()
    with answering(service.app()) as address:
        for name, value in {"API_KEY": KEY, "BASE_URL": f"{address}/v1", "MEDIA_HOSTS": "127.0.0.1, localhost"}.items():
            monkeypatch.setenv(f"BIDE_PROVIDERS__INKWELL__{name}", value)
        service.picture = f"{address}/files/7.png"
        yield service


def tried(operation: str) -> Result:
    """`bide providers try` with a job that is at the service already."""
    return CliRunner().invoke(try_main, ["--job", "7", "--operation", operation, "--save", "out", "--", "inkwell.toml"])


def test_the_key_goes_along_to_the_api_s_own_origin(inkwell: Inkwell) -> None:
    """As the file says by `auth.media`; the key itself is shown nowhere."""
    result = tried("draw")
    assert result.exit_code == 0, result.output
    assert inkwell.asked == [("/v1/jobs/7", True), ("/files/7.png", True)]
    assert Path("out/0.png").read_bytes() == png()
    assert KEY not in result.output


def test_no_key_goes_to_another_origin(inkwell: Inkwell) -> None:
    """The same server by another name is another origin."""
    inkwell.picture = inkwell.picture.replace("127.0.0.1", "localhost")
    result = tried("draw")
    assert result.exit_code == 0, result.output
    assert inkwell.asked == [("/v1/jobs/7", True), ("/files/7.png", False)]


@pytest.mark.usefixtures("inkwell")
def test_what_the_operation_does_not_declare_is_refused() -> None:
    """A picture is no sound, though another operation of the file makes pictures."""
    result = tried("sing")
    assert result.exit_code == 1
    assert "the provider knows the job as 7" in result.output
    assert not list(Path("out").iterdir())
