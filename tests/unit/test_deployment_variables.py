"""The variables of docker-compose.yml: each is a setting, stands in the example, and reaches its processes."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bide.settings.model import KNOWN
from bide.settings.reader import PREFIX
from bide.settings.variables import find, variable_path
from tests.unit.compose import (
    EXAMPLE,
    PROCFILE,
    REFERENCE,
    SERVICES,
    TEXT,
    processes,
    settings_of,
)


def test_every_variable_is_in_the_example_or_has_a_default() -> None:
    """What Compose asks for can be found in .env.example."""
    named = set(re.findall(r"(?m)^#?(\w+)=", EXAMPLE))
    references = REFERENCE.findall(TEXT)

    assert len(references) >= 5
    assert [variable for variable, how, _ in references if variable not in named or not how] == []


def test_the_store_keys_of_the_example_reach_no_container() -> None:
    """They are those of `bide up`; a container has its own store, and the keys to it in a secret."""
    assert re.search(r"(?m)^AWS_ACCESS_KEY_ID=.", EXAMPLE)
    processes = [service["environment"] for service in SERVICES.values() if service.get("env_file") == ".env"]

    assert len(processes) >= len(PROCFILE)
    assert {(own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"]) for own in processes} == {("", "")}


def test_every_bide_variable_is_a_setting() -> None:
    """The processes refuse to start with a variable that they do not know."""
    named = set(re.findall(rf"\b{PREFIX}\w+", TEXT))

    assert [name for name in sorted(named) if not find(KNOWN, variable_path(name.removesuffix("_FILE")))] == []


@processes
def test_environment_of_a_process_is_complete(name: str) -> None:
    """With the example and what Compose asks for, each process finds its servers by their service names."""
    settings = settings_of(name)
    broker, store = urlsplit(settings.broker_url), urlsplit(settings.s3.endpoint_url or "")

    assert settings.ledger_url == settings.result_url == settings.broker_url
    assert (broker.hostname, len(broker.password or ""), broker.port) == ("valkey", 48, 6379)
    assert (store.hostname, store.port) == ("seaweedfs", 8333)
    assert SERVICES["seaweedfs"]["environment"]["S3_BUCKET"].startswith("${BIDE_S3__BUCKET:?")


def test_sandbox_is_found_by_the_processes() -> None:
    """After the one replacement that the head of the file asks for, all providers stand on the service `sandbox`."""
    assert "s/127.0.0.1:8900/sandbox:8900/" in TEXT.partition("\nservices:")[0]
    command = SERVICES["sandbox"]["command"]
    place = f"sandbox:{command[command.index('--port') + 1]}"

    for provider in ("cyberphotobooth", "dreambooth", "fal", "nextry", "photogpt", "replicate"):
        account = settings_of("worker").account(provider)
        assert urlsplit(account.base_url or "").netloc == place
        assert account.media_hosts == (place,)
