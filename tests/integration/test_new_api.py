"""A provider's file in a folder of its own, and a worker that has never heard of it otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide.providers.declared import PATH_VARIABLE
from tests.background import answering
from tests.integration.caller import Caller, succeeded
from tests.integration.processes import Process
from tests.integration.rig import POLLS, Rig
from tests.integration.servers import RedisServer
from tests.media import png
from tests.meshy import KEY, Meshy

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
REQUEST = {
    "provider": "meshy",
    "operation": "text_to_image",
    "params": {"ai_model": "nano-banana", "prompt": "a red fox", "aspect_ratio": "16:9"},
}


def test_a_worker_makes_a_job_of_a_provider_s_file(rig: Rig, own_redis: RedisServer, tmp_path: Path) -> None:
    """One submit, a poll for each state, and the picture is stored."""
    meshy = Meshy()
    with answering(meshy.app()) as address:
        account = {"API_KEY": KEY, "BASE_URL": f"{address}/openapi/v1", "MEDIA_HOSTS": '["127.0.0.1"]', **POLLS}
        own = {f"BIDE_PROVIDERS__MESHY__{name}": value for name, value in account.items()}
        own |= {"BIDE_BROKER_URL": own_redis.url, PATH_VARIABLE: str(EXAMPLES)}
        queues = "-Q bide.submit,bide.poll,bide.store,bide.control"
        worker = Process.of_procfile(
            "worker", env={**rig.environment(), **own}, ready=r"worker-\d+@\S+ ready", folder=tmp_path, more=queues
        )
        try:
            worker.start()
            with Caller(own_redis.url) as caller:
                result = succeeded(caller.submit(REQUEST))
        finally:
            worker.kill()
    (output,) = result["outputs"]
    assert output["content_type"] == "image/png"
    assert rig.store.read(output["uri"].partition("://")[2].partition("/")[2])[0] == png()
    assert [asked.partition(" ")[0] for asked in meshy.asked] == ["POST", *["GET"] * 4]
    assert KEY not in worker.output()
