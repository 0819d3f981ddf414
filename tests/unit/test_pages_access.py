"""Who may see the pages, and press their buttons: over real HTTP."""

from __future__ import annotations

import asyncio
import re

import pytest

from bide.settings.addresses import is_loopback
from bide.settings.sections import FlowerSettings
from tests.unit.pages_world import ANNA, BERT, World, basic
from workers.pages.access import NO_LOGIN, users_of

#: One address of each kind.
PATHS = (
    *(
        "/",
        "/jobs/a",
        "/jobs/a/objects/0/thumbnail",
        "/jobs/a/objects/0",
        "/jobs/a/attach",
        "/unconfirmed",
        "/runs",
        "/runs/r",
    ),
    *("/accounts", "/accounts/photogpt/default/pause", "/objects/runs/r/index.html", "/events", "/static/pages.css"),
    "/nowhere",
)


@pytest.fixture(name="world")
def _world() -> World:
    """Two users, and a job that they may settle."""
    world = World(ANNA, BERT)
    world.stage.unconfirmed("a")
    return world


# Login


@pytest.mark.parametrize("path", PATHS)
def test_nothing_opens_without_a_login(world: World, path: str) -> None:
    """Neither without a password nor with a wrong one."""
    for user in ("", "anna:wrong", "anna:", "bert:hush-anna", "anna", "carl:hush-anna", "ANNA:hush-anna"):
        answer = world.ask(path, user=user)
        assert (answer.status, "a red fox" in answer.text) == (401, False), user
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic /////w==", "Bearer YW5uYTpodXNoLWFubmE=", "basic ü"])
def test_a_header_that_is_no_login_is_refused(world: World, header: str) -> None:
    """Whatever stands in it."""
    assert world.ask("/", user="", headers={"Authorization": header}).status == 401


def test_each_user_is_let_in(world: World) -> None:
    """By the own name, which the page shows."""
    for user in (ANNA, BERT):
        answer = world.ask("/", user=user)
        assert answer.status == 200
        assert f">{user.partition(':')[0]}</span>" in answer.text
        assert user.partition(":")[2] not in answer.text


def test_the_health_check_needs_no_login(world: World) -> None:
    """It says nothing else."""
    answer = world.ask("/healthz", user="")
    assert (answer.status, answer.text) == (200, "ok\n")


def test_users_are_flowers() -> None:
    """By Flower's own variable, which holds several, or by ours."""
    ours = FlowerSettings.model_validate({"user": "operator", "password": "hush"})
    both = users_of(ours, {"FLOWER_BASIC_AUTH": "anna:a,bert:b:c"})
    assert [both.name_of(basic(each)) for each in ("anna:a", "bert:b:c", "operator:hush")] == ["anna", "bert", None]
    for environ in ({}, {"FLOWER_BASIC_AUTH": ""}):
        assert users_of(ours, environ).name_of(basic("operator:hush")) == "operator"
        assert not users_of(FlowerSettings(), environ)
        assert users_of(FlowerSettings(), environ).name_of(basic(":")) is None
    assert both.passwords == ("a", "b:c")


# Without a login


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:9810"])
def test_pages_without_a_login_answer_this_machine(host: str) -> None:
    """The user has no name then."""
    answer = World().ask("/", user="", headers={"Host": host})
    assert (answer.status, NO_LOGIN in answer.text) == (200, True)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9810", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_pages_without_a_login_answer_to_no_foreign_name(host: str) -> None:
    """A page elsewhere could give its own name the address of this machine, and read on."""
    assert World().ask("/", user="", headers={"Host": host}).status == 403


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *((host, True) for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", "")),
    ],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    """Only there may the pages listen without a login."""
    assert is_loopback(host) is loopback


# Buttons


def test_a_button_needs_its_token(world: World) -> None:
    """Without, of another button, of another job, of another user, or changed: nothing is done."""
    world.stage.unconfirmed("b")

    async def run() -> list[tuple[int, str]]:
        async with world.serving() as (ask, _):
            own = (await ask("/jobs/a/resubmit")).token
            others = [(await ask("/jobs/a/give-up")).token, (await ask("/jobs/b/resubmit")).token]
            others.append((await ask("/jobs/a/resubmit", user=BERT)).token)
            tokens = ("", own[:-1], own.upper(), "ü", *others)
            forms = [{"sure": "yes"}, *({"token": token, "sure": "yes"} for token in tokens)]
            answers = [await ask("/jobs/a/resubmit", form=form) for form in forms]
            return [(answer.status, answer.words) for answer in answers]

    answers = asyncio.run(run())
    assert {status for status, _ in answers} == {403}
    assert all("open it again" in words for _, words in answers)
    assert world.stage.state("a") == "unconfirmed"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:1", "http://127.0.0.1"])
def test_a_form_of_another_site_is_refused(world: World, origin: str) -> None:
    """A browser adds the login to what any page posts: the origin says whose page it was."""

    async def run() -> int:
        async with world.serving() as (ask, _):
            token = (await ask("/jobs/a/resubmit")).token
            answer = await ask("/jobs/a/resubmit", form={"token": token, "sure": "yes"}, headers={"Origin": origin})
            return answer.status

    assert asyncio.run(run()) == 403
    assert world.stage.state("a") == "unconfirmed"


def test_a_proxy_may_have_another_name() -> None:
    """The address that people open stands in the settings."""
    world = World(ANNA, url="https://bide.example.com")
    world.stage.unconfirmed("a")

    async def run() -> int:
        async with world.serving() as (ask, _):
            token = (await ask("/jobs/a/resubmit")).token
            headers = {"Origin": "https://bide.example.com"}
            return (await ask("/jobs/a/resubmit", form={"token": token, "sure": "yes"}, headers=headers)).status

    assert asyncio.run(run()) == 303


@pytest.mark.parametrize("path", ["/", "/runs", "/unconfirmed", "/accounts", "/jobs/a", "/events"])
def test_only_buttons_take_a_form(world: World, path: str) -> None:
    """All else is read-only."""
    assert world.ask(path, form={"token": world.site.guard.token("anna", path)}).status == 405
    assert world.stage.state("a") == "unconfirmed"


# Headers


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/events"])
def test_no_page_runs_a_script_of_its_own(world: World, path: str) -> None:
    """Nor may it be framed, sniffed, kept or sent elsewhere."""
    answer = world.ask(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert not re.search(r"<script(?! src=\"/static/)|<style|\sstyle=|\son\w+=", answer.text)
