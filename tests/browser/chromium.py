"""A real browser for tests: headless Chromium, driven over its DevTools protocol, which needs no driver beside it."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.waiting import eventually

#: How long the browser may take over one command [seconds].
PATIENCE_SECONDS = 30.0

#: Names under which it is installed.
NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str | None:
    """Where the browser is; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab; `trouble` holds what it complained about, `requests` all that it asked for.

    `questions` holds what its pages asked in dialogs; `agrees` is what they are answered with.
    """

    def __init__(self, runner: asyncio.Runner, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._runner, self._socket = runner, socket
        self._ids = itertools.count(1)
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.questions: list[str] = []
        self.agrees = True

    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True) -> None:
        """Load a page, whole, in a window of that size."""
        self._runner.run(self._open(url, width, height, dark, script))

    def evaluate(self, expression: str) -> Any:
        """What an expression of JavaScript comes to, as JSON."""
        answer = self._do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def status(self) -> int:
        """The HTTP code that the page came with."""
        return int(self.evaluate("performance.getEntriesByType('navigation')[0].responseStatus"))

    def click(self, selector: str) -> None:
        """Press the middle of what a selector finds, with the mouse, as a person does; what covers it is pressed."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.evaluate(f"{element}.getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self._do("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def key(self, key: str, code: int) -> None:
        """Press and release a key, as a person does."""
        for kind in ("keyDown", "keyUp"):
            self._do("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self) -> bytes:
        """What is seen in the window, as PNG."""
        return base64.b64decode(self._do("Page.captureScreenshot", format="png")["data"])

    def _do(self, method: str, **arguments: Any) -> dict[str, Any]:
        return self._runner.run(self._call(method, **arguments))

    async def _open(self, url: str, width: int, height: int, dark: bool, script: bool) -> None:
        self.trouble, self.requests, self.questions = [], [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable")
        await self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._call("Emulation.setEmulatedMedia", features=[scheme])
        await self._call("Emulation.setScriptExecutionDisabled", value=not script)
        await self._call("Page.navigate", url=url)
        await self._until("Page.loadEventFired")

    async def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": arguments})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self._next()
                if message.get("id") == number:
                    assert "error" not in message, message
                    result: dict[str, Any] = message["result"]
                    return result

    async def _until(self, event: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self._next()).get("method") != event:
                pass

    async def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json()
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.trouble.append(str(params["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded":
            self.trouble.append(params["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif message.get("method") == "Page.javascriptDialogOpening":
            self.questions.append(params["message"])
            answer = {"method": "Page.handleJavaScriptDialog", "params": {"accept": self.agrees}}
            await self._socket.send_json({"id": next(self._ids), **answer})
        return message


@contextmanager
def browser() -> Iterator[Page]:
    """A browser with one empty tab, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="bide-chromium-", ignore_cleanup_errors=True) as folder:
        command = [
            executable() or NAMES[0],
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ]
        command += ["--no-first-run", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            with asyncio.Runner() as runner:
                yield from _tab(runner, Path(folder) / "DevToolsActivePort")
        finally:
            _end(process)


def _tab(runner: asyncio.Runner, port_file: Path) -> Iterator[Page]:
    port = eventually(
        lambda: port_file.is_file() and port_file.read_text().partition("\n")[0], what="the browser listens"
    )
    session = runner.run(_session())
    try:
        yield Page(runner, runner.run(_connected(session, f"http://127.0.0.1:{port}/json/list")))
    finally:
        runner.run(session.close())


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


async def _connected(session: aiohttp.ClientSession, address: str) -> aiohttp.ClientWebSocketResponse:
    async with session.get(address) as answer:
        tabs = [tab for tab in await answer.json() if tab["type"] == "page"]
    return await session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """All of its processes are in one group, which the test began."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
