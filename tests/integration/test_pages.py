"""The pages over a running deployment: real Redis, a private bucket, real providers' lists, and the process itself."""

from __future__ import annotations

import base64
import http.client
import os
import re
import signal
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.object_store import BUCKET
from tests.integration.processes import Process, children, plain_environment
from tests.integration.rig import FLOWER_PASSWORD, FLOWER_USER, Rig
from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def words(self) -> str:
        """What a person reads, in one line."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.text.partition("<main")[2])).split())


class Browser:
    """An operator's browser, logged in, which follows redirects by hand."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._login = base64.b64encode(f"{FLOWER_USER}:{FLOWER_PASSWORD}".encode()).decode()
        self._opener = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))

    def get(self, path: str, *, form: Mapping[str, str] | None = None) -> Answer:
        """GET, or POST where there is a form."""
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(f"{self.address}{path}", data=data)
        request.add_header("Authorization", f"Basic {self._login}")
        if form is not None:
            request.add_header("Origin", self.address)
        return self._sent(request)

    def fetch(self, url: str) -> Answer:
        """GET of any address, without our login."""
        return self._sent(urllib.request.Request(url))

    def press(self, path: str, **form: str) -> Answer:
        """Open the page of a button, and press it."""
        [token] = re.findall(r'name="token" value="(\w+)"', self.get(path).text)
        return self.get(path, form={"token": token, **form})

    def _sent(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=90) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))


@pytest.fixture(scope="module", name="browser")
def _browser(deployment: Rig) -> Browser:
    """The pages of the deployment."""
    return Browser(deployment.pages.start()[1])


def test_an_object_of_a_private_bucket_is_reached_by_its_signed_address(
    browser: Browser, caller: Caller, rig: Rig
) -> None:
    """From the page of its job; without a signature the store refuses it, without a login the pages do."""
    result = caller.submit(image(marker(), metadata={"tenant": "acme"}))
    [output] = succeeded(result)["outputs"]
    signed = browser.get(f"/jobs/{result.id}/objects/0")

    assert signed.status == 302
    original = browser.fetch(signed.headers["Location"])
    assert (original.status, original.body) == (200, rig.store.read(output["key"])[0])
    assert browser.fetch(f"{rig.store.url}/{BUCKET}/{output['key']}").status == 403
    assert browser.fetch(f"{browser.address}/jobs/{result.id}/objects/0").status == 401
    assert browser.get(f"/objects/{output['key']}").status == 302
    assert browser.get(f"/objects/{output['key'].replace('/0.', '/9.')}").status == 404
    page = browser.get(f"/jobs/{result.id}")
    assert all(words in page.words for words in ("succeeded", "tenant acme", output["uri"], "bought"))


def test_a_thumbnail_is_made_of_the_original(browser: Browser, caller: Caller, rig: Rig) -> None:
    """Small, by a process that ends with the pages; a file that is no picture has none."""
    result = caller.submit(image(marker()))
    succeeded(result)

    thumbnail = browser.get(f"/jobs/{result.id}/objects/0/thumbnail")

    assert (thumbnail.status, thumbnail.headers["Content-Type"]) == (200, "image/webp")
    assert thumbnail.body[8:12] == b"WEBP"
    assert len(thumbnail.body) < 40_000
    assert browser.get(f"/jobs/{result.id}/objects/1/thumbnail").status == 404
    [child] = children(rig.pages.pid)
    os.kill(child, signal.SIGKILL)
    other = caller.submit(image(marker()))
    succeeded(other)
    eventually(
        lambda: browser.get(f"/jobs/{other.id}/objects/0/thumbnail").status == 200, what="a new process makes it"
    )


def test_the_list_finds_a_job_and_follows_it(browser: Browser, caller: Caller, rig: Rig) -> None:
    """By its prompt and its metadata; the stream says when it has changed."""
    word = marker()
    with stream(browser) as events:
        result = caller.submit(image(f"{word} in the snow", metadata={"tenant": word}))
        eventually(lambda: "jobs" in next(events), what="the stream says that there are news")
        succeeded(result)
    for query in (
        f"prompt={word}",
        f"tenant={word}",
        f"metadata=tenant%3D{word}",
        f"state=succeeded&prompt=SNOW+{word}",
    ):
        page = browser.get(f"/?{query}")
        assert re.findall(r'<p class="small id">([^<]+)</p>', page.text) == [result.id], query
    assert rig.state(result.id) == "succeeded"


def test_an_unconfirmed_job_is_settled_by_its_evidence(browser: Browser, caller: Caller, rig: Rig) -> None:
    """The provider's own list names the purchase; attached, the job goes on to its result. Record and log say who."""
    marked = marker()
    rig.sandbox.order([{"fault": "accept_then_drop", "match": marked, "times": 1}])
    result = caller.submit(image(marked))
    assert failure(result)["code"] == "submission_unknown"
    [purchase] = rig.purchases(marked)

    page = browser.get("/unconfirmed?candidates=yes")
    assert f"/jobs/{result.id}/attach?provider_job_id={purchase['id']}" in unescape(page.text)

    pressed = browser.press(f"/jobs/{result.id}/attach", provider_job_id=purchase["id"], sure="yes")
    assert (pressed.status, pressed.headers["Location"]) == (303, f"/jobs/{result.id}?done=attach")
    eventually(lambda: rig.state(result.id) == "succeeded", what="the result is fetched")
    assert f"attached as {purchase['id']} by {FLOWER_USER}" in browser.get(f"/jobs/{result.id}").words
    assert len(rig.purchases(marked)) == 1
    [settled] = [line for line in rig.pages.output().splitlines() if "pages.settled" in line and result.id in line]
    assert f'"by": "{FLOWER_USER}"' in settled


def test_no_secret_is_on_a_page(browser: Browser, caller: Caller, rig: Rig) -> None:
    """Neither keys and passwords of the deployment, nor addresses of callbacks."""
    request = image(marker(), callback_url="https://127.0.0.1:1/hush-callback")
    failed = caller.submit(request)
    eventually(lambda: rig.state(failed.id) in ("succeeded", "failed"), what="the job ends")
    environment = rig.environment()
    secrets = [value for name, value in environment.items() if re.search(r"API_KEY|PASSWORD|SECRET", name)]
    for path in ("/", f"/jobs/{failed.id}", "/unconfirmed?candidates=yes", "/accounts", "/runs"):
        text = browser.get(path).text
        assert [secret for secret in (*secrets, "hush-callback") if secret in text] == [], path
    assert [secret for secret in (*secrets, "hush-callback") if secret in rig.pages.output()] == []


# The process


@pytest.mark.parametrize(
    ("environ", "refused"),
    [
        ({"BIDE_PAGES__ADDRESS": "0.0.0.0"}, True),
        ({"BIDE_PAGES__ADDRESS": "::"}, True),
        ({"BIDE_PAGES__ADDRESS": "0.0.0.0", "FLOWER_BASIC_AUTH": ""}, True),
        ({"BIDE_PAGES__ADDRESS": "0.0.0.0", "FLOWER_BASIC_AUTH": "anna:hush"}, False),
        ({"BIDE_PAGES__ADDRESS": "localhost"}, False),
        ({}, False),
    ],
)
def test_the_pages_require_a_login(
    environ: dict[str, str], refused: bool, own_redis: RedisServer, tmp_path: Path
) -> None:
    """Without users they do not start on an address that others reach, and say what to set."""
    process = pages(own_redis, tmp_path, **environ)
    try:
        if refused:
            with pytest.raises(AssertionError, match="without a login: set BIDE_FLOWER__USER and"):
                process.start()
            assert "Traceback" not in process.output()
        else:
            process.start()
    finally:
        process.kill()


def test_a_port_that_is_taken_is_named(own_redis: RedisServer, tmp_path: Path) -> None:
    """In one line."""
    first = pages(own_redis, tmp_path)
    try:
        port = first.start()[1].rpartition(":")[2]
        with pytest.raises(AssertionError, match=f"can't listen on 127.0.0.1 port {port}: .*; set BIDE_PAGES__ADDRESS"):
            pages(own_redis, tmp_path, BIDE_PAGES__PORT=port).start()
    finally:
        first.kill()


def test_the_process_ends_in_good_order(own_redis: RedisServer, tmp_path: Path) -> None:
    """At SIGTERM, also while browsers listen; and it lives on while Redis is away."""
    process = pages(own_redis, tmp_path)
    try:
        browser = Browser(process.start()[1])
        with stream(browser):
            own_redis.kill()
            assert browser.get("/").status == 503
            own_redis.start()
            eventually(lambda: browser.get("/").status == 200, what="the pages are back")
            process.ask_to_end()
            assert process.wait(20) == 0
    finally:
        process.kill()
    assert "Traceback" not in process.output()


def pages(server: RedisServer, folder: Path, **environ: str) -> Process:
    """The process alone, over a Redis."""
    own = {"BIDE_BROKER_URL": server.url, "BIDE_S3__BUCKET": "results", "BIDE_PAGES__PORT": "0"}
    own |= {"BIDE_S3__ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    env = {**plain_environment(), **own, **environ}
    return Process.of_procfile("pages", env=env, ready=r"pages at (http://\S+)", folder=folder)


class stream:  # noqa: N801 - used as a function
    """The events, each as its subjects, while the block lasts."""

    def __init__(self, browser: Browser) -> None:
        parts = urllib.parse.urlsplit(browser.address)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        login = base64.b64encode(f"{FLOWER_USER}:{FLOWER_PASSWORD}".encode()).decode()
        self._connection.request("GET", "/events", headers={"Authorization": f"Basic {login}"})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200

    def __enter__(self) -> Iterator[list[str]]:
        return self._events()

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._connection.close()

    def _events(self) -> Iterator[list[str]]:
        while line := self._answer.readline():
            if line.startswith(b"data: "):
                yield line.decode().removeprefix("data: ").split()
