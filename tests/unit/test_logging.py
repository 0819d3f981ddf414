"""Logs: one form for all of them, and no secret in any."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from celery.concurrency import get_implementation
from celery.worker.consumer import consumer

from config.logging import QUIET, configure, register_secrets

HUSH = "hush-hush-1234"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the logs of a test go; what it changed of the process's logging is put back."""
    root, quiet = logging.getLogger(), {name: logging.getLogger(name).level for name in QUIET}
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(False)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line that was logged as JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_one_json_line(stream: io.StringIO) -> None:
    """An event has its name, its fields, level, time, and what was bound to the context."""
    configure("INFO", "json", stream=stream)
    structlog.contextvars.bind_contextvars(job_id="j1")

    structlog.get_logger("bide.test").info("job.submitted", provider="photogpt", polls=3, late=0.5, first=True)

    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "job.submitted",
        "provider": "photogpt",
        "polls": 3,
        "late": 0.5,
        "first": True,
        "job_id": "j1",
        "level": "info",
        "logger": "bide.test",
    }


def test_a_json_line_holds_nothing_that_a_terminal_acts_on(stream: io.StringIO) -> None:
    """C1, direction marks and half a surrogate pair are escapes of JSON with the same value; other letters stay."""
    configure("INFO", "json", stream=stream)
    nasty = "\x1b]0;x\x07\x7f\x9b31m\u202eevil\u2028\u2066\ufeff"
    structlog.get_logger("bide.test").info(
        "job.failed", reason=f"{nasty} Füchse 狐 \U0001f98a", document={nasty: [nasty]}
    )
    logging.getLogger("foreign").warning("got %s", "\ud800")

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066\ufeff\ud800]", stream.getvalue())
    assert "\\u009b31m\\u202eevil\\u2028\\u2066\\ufeff Füchse 狐 \U0001f98a" in stream.getvalue()
    first, second = lines(stream)
    assert (first["reason"], first["document"]) == (f"{nasty} Füchse 狐 \U0001f98a", {nasty: [nasty]})
    assert second["event"] == "got \ud800"


def test_a_line_names_the_module_that_wrote_it(stream: io.StringIO) -> None:
    """Loggers are made without a name."""
    configure("INFO", "json", stream=stream)

    structlog.get_logger().info("job.step")

    assert lines(stream)[0]["logger"] == __name__


def test_a_stream_that_is_gone_breaks_no_step(stream: io.StringIO) -> None:
    """A full disk or a closed pipe costs the line, and not the job."""
    configure("INFO", "json", stream=stream)
    stream.close()

    structlog.get_logger().info("job.step")


def test_standard_library_logs_take_the_same_form(stream: io.StringIO) -> None:
    """Celery's and every library's lines become the same JSON, with the context of the job."""
    configure("INFO", "json", stream=stream)
    structlog.contextvars.bind_contextvars(job_id="j1")

    logging.getLogger("celery.worker.consumer").warning("lost %s after %d s", "it", 3)

    [line] = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("lost it after 3 s", "warning", "celery.worker.consumer")
    assert line["job_id"] == "j1"


@pytest.mark.parametrize(
    ("form", "terminal", "is_json"), [("auto", False, True), ("auto", True, False), ("pretty", False, False)]
)
def test_form_follows_the_terminal(form: Any, terminal: bool, is_json: bool, stream: io.StringIO) -> None:
    """Pretty on a terminal or when asked for, JSON where a machine reads."""
    out = Terminal() if terminal else stream
    configure("INFO", form, stream=out)

    structlog.get_logger().info("job.submitted", provider="photogpt")

    assert "job.submitted" in out.getvalue()
    assert out.getvalue().startswith("{") == is_json


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_exception_comes_without_locals(form: Any, stream: io.StringIO) -> None:
    """A traceback tells where, and not what lay in the variables there."""
    configure("INFO", form, stream=stream)

    def fail() -> None:
        key = "kept" + "-to-itself"
        raise ValueError(len(key))

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("job.crashed")
        logging.getLogger("celery").exception("the same, %s", "elsewhere")

    assert stream.getvalue().count("ValueError: 14") == 2
    assert "kept-to-itself" not in stream.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "API_KEY",
        "photogpt_api_key",
        "Authorization",
        "password",
        "aws_secret_access_key",
        "x-api-key",
        "token",
        "cookie",
    ],
)
def test_secret_looking_fields_are_starred_out(name: str, stream: io.StringIO) -> None:
    """A field named like a secret shows none, at any depth."""
    configure("INFO", "json", stream=stream)

    structlog.get_logger().info(
        "call.sent", **{name: "unregistered"}, headers=[{name: "unregistered", "accept": "json"}]
    )

    assert "unregistered" not in stream.getvalue()
    assert lines(stream)[0]["headers"] == [{name: "***", "accept": "json"}]


@pytest.mark.parametrize("name", ["idempotency_key", "key", "token_count", "bucket", "secretary"])
def test_other_fields_stay(name: str, stream: io.StringIO) -> None:
    """What only resembles a secret's name is needed to find a job."""
    configure("INFO", "json", stream=stream)

    structlog.get_logger().info("job.stored", **{name: "2026/11/22/j1/0.png"})

    assert lines(stream)[0][name] == "2026/11/22/j1/0.png"


def test_registered_secrets_are_starred_out_everywhere(stream: io.StringIO) -> None:
    """A known secret shows in no text, object, traceback or line of a library; short values are left alone."""
    configure("INFO", "json", stream=stream)
    register_secrets([HUSH, HUSH + "-longer", "", "a"])

    class Call:
        def __repr__(self) -> str:
            return f"Call({HUSH})"

    log = structlog.get_logger()
    log.info(f"got {HUSH}-longer", call=Call(), query={"k": (HUSH,)}, plain="banana")
    logging.getLogger("httpcore").warning("GET /?key=%s", HUSH)
    try:
        int(HUSH)
    except ValueError as error:
        log.exception("call.failed", reason=error)

    assert "hush" not in stream.getvalue()
    first, library, failed = lines(stream)
    assert (first["event"], first["plain"], library["event"]) == ("got ***", "banana", "GET /?key=***")
    assert failed["exception"].endswith("invalid literal for int() with base 10: '***'")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at redis://user:pa:ss@host/0", "at redis://user:***@host/0"),
        ("Authorization: Bearer abc.def-12345", "Authorization: Bearer ***"),
        ("https://s3/k?X-Amz-Signature=abc123&a=1", "https://s3/k?X-Amz-Signature=***&a=1"),
        ("https://cdn.example.com:8443/a@2x.png", "https://cdn.example.com:8443/a@2x.png"),
    ],
)
def test_secrets_in_addresses_are_starred_out(text: str, shown: str, stream: io.StringIO) -> None:
    """Passwords in URLs, bearer tokens and signatures are found by their form; plain addresses stay whole."""
    configure("INFO", "json", stream=stream)

    logging.getLogger("any").warning("%s", text)

    assert lines(stream)[0]["event"] == shown


def test_celerys_task_lines_cost_nothing(stream: io.StringIO) -> None:
    """Bide's own lines report received, succeeded and retried: Celery formats nothing."""
    configure("DEBUG", "json", stream=stream)

    for name in ("celery.worker.strategy", "celery.app.trace"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        logging.getLogger(name).error("Task raised")

    assert [line["event"] for line in lines(stream)] == ["Task raised"] * 2


PICTURE = "aGVsbG8gcGljdHVyZQ=="


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("UNKNOWN_TASK_ERROR", ("'x'", PICTURE, {}, {}), "Received unregistered task of type 'x'."),
        ("INVALID_TASK_ERROR", ("no kwargs", PICTURE), "Received invalid task message: no kwargs"),
        ("UNKNOWN_FORMAT", (PICTURE,), "Received and deleted unknown message.  Wrong destination?!?"),
        (
            "MESSAGE_DECODE_ERROR",
            (ValueError("x"), "text/json", "utf-8", {"argsrepr": PICTURE}, PICTURE),
            "Can't decode message body: ValueError('x') [type:'text/json' encoding:'utf-8'",
        ),
        ("CONNECTION_ERROR", ("x" * 400, "refused", ""), f"consumer: Cannot connect to {'x' * 272}"),
    ],
)
def test_refused_messages_are_named_without_their_bodies(
    name: str, values: tuple[Any, ...], shown: str, stream: io.StringIO
) -> None:
    """Celery prints a kilobyte of whatever came; why it was refused is enough."""
    configure("INFO", "json", stream=stream)

    logging.getLogger("celery.worker.consumer.consumer").error(getattr(consumer, name), *values)

    assert [line["event"] for line in lines(stream)] == [shown]


def test_arguments_of_tasks_are_not_logged(stream: io.StringIO) -> None:
    """Celery's pool prints them at DEBUG."""
    configure("DEBUG", "json", stream=stream)

    pool = get_implementation("solo")(1)
    pool.apply_async(lambda _: None, (PICTURE,), callback=lambda _: None)

    assert PICTURE not in stream.getvalue()


def test_level_is_kept(stream: io.StringIO) -> None:
    """No logger writes lines below the level."""
    configure("ERROR", "json", stream=stream)

    structlog.get_logger().warning("job.late")
    logging.getLogger("celery").warning("late")
    logging.getLogger("httpx").warning("late")

    assert stream.getvalue() == ""


def test_a_terminal_shows_what_others_wrote_without_acting_on_it(stream: io.StringIO) -> None:
    """A prompt in a field, another program's message, and an error's text: no escapes but the renderer's own."""
    configure("INFO", "pretty", stream=stream)
    nasty = "\x1b]0;owned\x07\x9b31m\u202eevil\nforged"
    structlog.get_logger("bide.test").info(
        "job.failed", reason=nasty, document={"a": nasty}, exc_info=ValueError(nasty)
    )
    logging.getLogger("foreign").warning("got %s", nasty)

    shown = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown), ascii(shown)
    assert "reason=\\x1b]0;owned\\x07\\x9b31m\\u202eevil\\nforged" in shown
