"""A sandbox in a process of its own, for tests and benches: start it, order faults, count purchases, stop it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox.server import BASE_PATHS

#: How long one control request may take [seconds].
_CONTROL_TIMEOUT_SECONDS = 30

#: How long a process may take to end before it is killed [seconds].
_STOP_TIMEOUT_SECONDS = 5


class Sandbox:
    """`with Sandbox(latency_seconds=0.2) as sandbox: ... sandbox.url("photogpt")`.

    `start` after `stop` or `kill` comes back at the same port; with a `journal` its jobs are still known then.
    """

    def __init__(
        self,
        *,
        latency_seconds: float = 4.0,
        seed: int = 0,
        result_bytes: int | None = None,
        journal: Path | None = None,
        key: str = "",
        port: int = 0,
        certificate: Path | None = None,
    ) -> None:
        self.port = port
        #: Of the second port, which speaks TLS where there is a `certificate` (PEM, with its key): `https://...`.
        self.tls_url = ""
        self._process: subprocess.Popen[str] | None = None
        self._arguments = ["--latency", str(latency_seconds), "--seed", str(seed)]
        path = None if journal is None else journal.resolve()
        for name, value in (
            ("--result-bytes", result_bytes),
            ("--journal", path),
            ("--key", key),
            ("--certificate", certificate),
        ):
            if value:
                self._arguments += [name, str(value)]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the process and wait until it answers; raises `RuntimeError` if it ends instead."""
        command = [sys.executable, "-m", "sandbox", "--port", str(self.port), *self._arguments]
        root = Path(__file__).resolve().parent.parent
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
        self._process = process
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("sandbox ready:"):
            self.stop()
            raise RuntimeError(f"the sandbox did not start: exit code {process.returncode}")
        self.port = int(line.split("127.0.0.1:", 1)[1].split("/", 1)[0])
        self.tls_url = line.partition(" tls=")[2].strip()
        return self

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, provider: str) -> str:
        """The base address of a provider."""
        return self.base_url + BASE_PATHS[provider]

    def purchases(self, provider: str | None = None) -> list[dict[str, Any]]:
        """Everything that was bought, oldest first: provider, operation, id, digest, time, reference."""
        bought: list[dict[str, Any]] = self._call("GET", "purchases" + (f"?provider={provider}" if provider else ""))
        return bought

    def bill(self) -> dict[str, Any]:
        """`lines` of the bill, and their `totals` by provider, key and currency; see `sandbox/README.md`."""
        found: dict[str, Any] = self._call("GET", "bill")
        return found

    def price(self, prices: Sequence[dict[str, Any]]) -> None:
        """Order prices; raises `urllib.error.HTTPError` for one that can't be understood."""
        self._call("POST", "prices", list(prices))

    def order(self, rules: Sequence[dict[str, Any]]) -> None:
        """Order faults; raises `urllib.error.HTTPError` for a rule that can't be understood."""
        self._call("POST", "faults", list(rules))

    def faults(self) -> list[dict[str, Any]]:
        """The rules in force, and how often each has fired."""
        rules: list[dict[str, Any]] = self._call("GET", "faults")
        return rules

    def clear_faults(self) -> None:
        """Withdraw all rules; jobs they have changed stay changed."""
        self._call("DELETE", "faults")

    def stats(self) -> dict[str, Any]:
        """Counts of requests, polls and purchases, whole and by provider."""
        counts: dict[str, Any] = self._call("GET", "stats")
        return counts

    def reset(self) -> None:
        """Forget all jobs, purchases, faults and counts."""
        self._call("POST", "reset")

    def stop(self) -> None:
        """End it with SIGTERM; does nothing if it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._ended()

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def _ended(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _call(self, method: str, name: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base_url}/_sandbox/{name}", data=data, method=method)  # noqa: S310 - http
        with urllib.request.urlopen(request, timeout=_CONTROL_TIMEOUT_SECONDS) as answer:  # noqa: S310 - http
            return json.load(answer)
