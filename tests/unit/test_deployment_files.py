"""docker-compose.yml: it agrees with the Procfile, the settings, the Dockerfile, its secrets and itself."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from urllib.parse import urlsplit

import pytest

from tests.unit.compose import (
    COMPOSE,
    MOUNTED,
    PROCFILE,
    ROOT,
    SERVICES,
    filled,
    processes,
    secrets,
    services,
    settings_of,
)

#: The words of the Compose specification that are used, by the place they are used at.
WORDS = {
    "": "services volumes secrets",
    "service": (
        "image build command secrets environment env_file volumes tmpfs ports profiles depends_on healthcheck init "
        "user read_only cap_drop security_opt restart stop_grace_period logging deploy"
    ),
    "build": "context target",
    "healthcheck": "test interval timeout retries start_period",
    "deploy": "resources",
    "resources": "limits",
    "limits": "cpus memory pids",
    "logging": "driver options",
}


def seconds(duration: str) -> int:
    """`90s` or `5m` in seconds."""
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


# Form and references


def test_compose_uses_words_of_the_specification() -> None:
    """A misspelt key would be refused, or worse, ignored."""
    found = {("", key) for key in COMPOSE if not key.startswith("x-")}
    for service in SERVICES.values():
        found |= {("service", key) for key in service}
        limits = service["deploy"]["resources"]["limits"]
        parts = {"deploy": service["deploy"], "resources": service["deploy"]["resources"], "limits": limits}
        parts |= {part: service.get(part, {}) for part in ("build", "healthcheck", "logging")}
        found |= {(part, key) for part, keys in parts.items() for key in keys}

    assert [(place, key) for place, key in sorted(found) if key not in WORDS[place].split()] == []


def test_compose_references_resolve() -> None:
    """Every volume, secret, build target and service that is named exists, and nothing is declared in vain."""
    stages = re.findall(r"(?m)^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text())
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    given = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}

    assert {volume for volume in mounted if not volume.startswith(("/", "./"))} == set(COMPOSE["volumes"])
    assert given == set(COMPOSE["secrets"])
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} <= set(stages)


@services
def test_service_waits_for_healthy_ones(name: str) -> None:
    """What a service depends on exists, has a health check to wait for, and is started without a profile."""
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[needed]
        assert "profiles" not in SERVICES[needed]


@services
def test_service_comes_back_and_stays_within_bounds(name: str) -> None:
    """Each is restarted, reaps its children, gets time to end, is checked, and can't eat up the machine."""
    service = SERVICES[name]

    assert filled(service["restart"], BIDE_HOOKS__URL="https://hooks.example.com") == "unless-stopped"
    assert service["init"] is True
    assert seconds(service["stop_grace_period"]) >= 10
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])


@services
def test_commands_are_lists(name: str) -> None:
    """No shell stands between Docker's SIGTERM and the process."""
    command = SERVICES[name].get("command")

    assert command is None or (isinstance(command, list) and all(isinstance(word, str) for word in command))


# Variables


# The processes


@processes
def test_command_is_the_procfiles(name: str) -> None:
    """Compose and Procfile start the same; a node's name needs no process id where each has a host name of its own."""
    assert SERVICES[name]["command"] == shlex.split(PROCFILE[name].replace("-$$@", "@"))


@services
def test_service_runs_with_least_rights(name: str) -> None:
    """Its files are read-only but for /tmp and its data, it has no capability, and it can gain no rights."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in (service["tmpfs"], *service.get("volumes", []))


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" not in service])
def test_server_does_not_start_as_root(name: str) -> None:
    """The servers' images would become this user by themselves, with capabilities that the container lacks."""
    assert SERVICES[name]["user"] == {"valkey": "valkey", "seaweedfs": "seaweed"}[name]


def test_endpoint_without_its_address_is_not_restarted() -> None:
    """It ends with a line that says what is missing; only a set address brings it back."""
    assert filled(SERVICES["hooks"]["restart"]) == ""
    assert filled(SERVICES["hooks"]["restart"], BIDE_HOOKS__URL="https://hooks.example.com") == "unless-stopped"
    done = subprocess.run(
        [sys.executable, *SERVICES["hooks"]["command"][1:]],
        env={"PATH": os.environ["PATH"], "BIDE_S3__BUCKET": "results"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "set BIDE_HOOKS__URL and BIDE_HOOKS__SECRET" in done.stderr


def test_processes_share_one_image_and_one_env_file() -> None:
    """One image serves all processes, and all have the same settings."""
    own = [SERVICES[name] for name in PROCFILE]

    assert {(service["image"], service["build"]["target"], service["env_file"]) for service in own} == {
        ("bide", "processes", ".env")
    }


@processes
def test_process_is_checked_by_its_own_check(name: str) -> None:
    """The health check asks about the process that runs in the container."""
    assert SERVICES[name]["healthcheck"]["test"] == ["CMD", "python", "-m", "workers.health", name]


def test_grace_is_longer_than_the_longest_step() -> None:
    """SIGTERM lets steps finish; SIGKILL in the midst of a submit would leave a purchase unconfirmed."""
    settings = settings_of("worker")
    step = max(settings.timing.submit_timeout_seconds, settings.media.download_seconds)

    assert seconds(SERVICES["worker"]["stop_grace_period"]) > step
    assert seconds(SERVICES["poller"]["stop_grace_period"]) > 2 * settings.timing.read_timeout_seconds


def test_what_is_run_can_be_imported() -> None:
    """Modules and app that commands name exist; the app is imported in an environment such as a container's."""
    for service in SERVICES.values():
        words = [*service.get("command", []), *service["healthcheck"]["test"]]
        for module in (words[at + 1] for at, word in enumerate(words) if word == "-m"):
            assert find_spec(module), module
    apps = {command.split()[2] for command in PROCFILE.values() if command.startswith("celery ")}
    environ = {"PATH": os.environ["PATH"], "BIDE_S3__BUCKET": "results"}
    code = "import sys\nfrom celery.app.utils import find_app\nfor name in sys.argv[1:]: find_app(name)"
    subprocess.run([sys.executable, "-c", code, *apps], env=environ, cwd=ROOT, check=True, timeout=60)


@services
def test_published_port_is_the_checked_one(name: str) -> None:
    """What is published, only on this machine, is what the health check finds answering."""
    service = SERVICES[name]
    checked = " ".join(service["healthcheck"]["test"])
    for published in service.get("ports", []):
        address, _, inside = filled(published).split(":")
        assert address == "127.0.0.1"
        own = {"flower": settings_of("flower").flower.port, "metrics": settings_of("metrics").metrics.port}
        own |= {"hooks": settings_of("hooks").hooks.port, "pages": settings_of("pages").pages.port}
        own["valkey"] = 6379
        assert f":{inside}/" in checked or own.get(name) == int(inside)


def test_flower_listens_with_a_password() -> None:
    """Outside its container Flower would be open without."""
    flower = settings_of("flower").flower

    assert flower.address == "0.0.0.0"
    assert flower.user == "operator"
    assert flower.password is not None
    assert len(flower.password.get_secret_value()) == 48


def test_pages_have_flowers_users() -> None:
    """And sign addresses that a browser on this machine can follow."""
    settings = settings_of("pages")

    assert settings.pages.address == "0.0.0.0"
    assert settings.flower.user == "operator"
    assert settings.flower.password == settings_of("flower").flower.password
    published = [port.rpartition(":")[0] for port in SERVICES["seaweedfs"]["ports"]]
    assert settings.s3.public_endpoint_url == f"http://{filled(published[0])}"


@processes
def test_flower_is_found_by_the_doctor(name: str) -> None:
    """Whichever process `bide doctor` is run in: at the service of that name, where Flower listens."""
    found = urlsplit(settings_of(name).flower.url or "")

    assert (found.scheme, found.hostname, found.port) == ("http", "flower", settings_of("flower").flower.port)
    assert "flower" in SERVICES


def test_callers_on_this_machine_reach_valkey() -> None:
    """Its port is published here alone, and the page says by which address and password."""
    [published] = SERVICES["valkey"]["ports"]
    page = (ROOT / "docs" / "operations.md").read_text()

    assert filled(published) == "127.0.0.1:6379:6379"
    assert filled(published, VALKEY_PORT="6380") == "127.0.0.1:6380:6379"
    assert "s/@valkey:6379/@127.0.0.1:6379/" in page
    address = urlsplit((secrets() / "redis_url").read_text().strip())
    assert (address.hostname, address.port) == ("valkey", 6379)


def test_valkey_forgets_nothing() -> None:
    """The ledger's Redis writes all to disk, and refuses when it is full."""
    command = " ".join(SERVICES["valkey"]["command"])

    assert "--appendonly yes --appendfsync always" in command
    assert "--maxmemory-policy noeviction" in command
    assert SERVICES["valkey"]["command"][1] == f"{MOUNTED}valkey.conf"
    assert secrets().joinpath("valkey.conf").read_text().startswith("requirepass ")


@services
def test_image_is_pinned(name: str) -> None:
    """What is run is what was tried: images have a version, and those built here a base with one."""
    service = SERVICES[name]
    if "build" in service:
        bases = re.findall(r"(?m)^FROM (\S+:\S+) AS", (ROOT / "Dockerfile").read_text())
        assert bases
        assert all(re.search(r":\d+\.\d+", base) for base in bases)
    else:
        assert re.search(r":\d+\.\d+", service["image"])


def test_images_do_not_run_as_root() -> None:
    """Each stage that ends as an image names a user by number, which Kubernetes can check."""
    stages = re.split(r"(?m)^(?=FROM )", (ROOT / "Dockerfile").read_text())[1:]
    ends = [stage for stage in stages if "\nCMD " in stage]

    assert len(ends) == len({service["build"]["target"] for service in SERVICES.values() if "build" in service})
    assert all(re.search(r"(?m)^USER [1-9]\d*:[1-9]\d*$", stage) for stage in ends)
