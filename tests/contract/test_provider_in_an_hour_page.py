"""`docs/add-a-provider-in-an-hour.md` says the truth: its commands are run, and print what it shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.background import answering
from tests.media import png

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-provider-in-an-hour.md").read_text(encoding="utf-8")

#: A file name in backquotes on a line of its own, then its content in a fence; and the fences of a terminal.
_FILE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: The key as the page leaves it out, and as the service wants it.
KEY = "planted-key-0123456789"

#: The address that stands on the page.
SHOWN = "https://api.inkwell.example"


def files() -> dict[str, str]:
    """The page's files, by name."""
    return dict(_FILE.findall(PAGE))


def sessions() -> list[tuple[str, str]]:
    """Each command of the page, with what it prints."""
    found: list[tuple[str, str]] = []
    for block in _CONSOLE.findall(PAGE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed))
    return found


class Inkwell:
    """The page's service; its address is known when it runs."""

    address = ""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def app(self) -> web.Application:
        """What answers."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        if request.path == "/7.png":
            return web.Response(body=png(), content_type="image/png")
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"message": "bad key"}, status=401)
        if request.method == "POST":
            assert json.loads(await request.text()) == {"text": "a red fox"}
            return web.json_response({"ink_id": 7}, status=201)
        return web.json_response({"state": "dry", "address": f"{self.address}/7.png"})


@pytest.fixture
def inkwell() -> Iterator[Inkwell]:
    """The service, running."""
    service = Inkwell()
    with answering(service.app()) as service.address:
        yield service


def same(printed: str, service: Inkwell) -> str:
    """What was printed, with what differs from run to run put as the page has it."""
    text = printed.replace(service.address, SHOWN)
    text = re.sub(r"waiting \d+\.\d s", "waiting 2.0 s", text)
    return re.sub(r"\d+ bytes$", "70 bytes", text, flags=re.MULTILINE)


def test_the_page_s_commands_print_what_it_shows(inkwell: Inkwell, tmp_path: Path) -> None:
    """From the first question to the first picture."""
    for name in ("workers", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, content in files().items():
        if not name.startswith("config/"):
            (tmp_path / name).write_text(content, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "BIDE_PROVIDERS__INKWELL__BASE_URL": f"{inkwell.address}/v1"}
    environment["BIDE_PROVIDERS__INKWELL__MEDIA_HOSTS"] = inkwell.address.removeprefix("http://")
    played = 0
    for command, shown in sessions():
        words = shlex.split(command)
        if words[0] == "export":
            environment[words[1].partition("=")[0]] = KEY
            continue
        if words[0] == "cat":
            assert (tmp_path / words[1]).read_text(encoding="utf-8") == shown
            continue
        bide = [sys.executable, "-c", "from bide.cli import main; main()", *words[1:]]
        done = subprocess.run(
            bide, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert KEY not in done.stdout + done.stderr
        assert same(done.stdout, inkwell).rstrip() == shown.rstrip()
        played += 1
    assert played == 5
    assert inkwell.asked == ["POST /v1/ink", *["GET /v1/ink/7", "GET /7.png"] * 2]
    for folder in ("out", "again"):
        assert (tmp_path / folder / "0.png").read_bytes() == png()
    recorded = tmp_path / "config" / "providers" / "inkwell.samples"
    about = {file.stem: json.loads(file.read_text(encoding="utf-8"))["about"] for file in recorded.iterdir()}
    assert sorted(name for name, text in about.items() if text.startswith("recorded")) == [
        "draw--poll-success",
        "draw--submit",
    ]
