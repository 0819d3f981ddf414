"""`bide.Client` against a running deployment."""

from __future__ import annotations

import hashlib
import io
import json
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from bide.client import Client, object_store
from bide.contract import FailureCode, JobState
from bide.errors import IdempotencyConflictError, InvalidRequestError, JobFailed
from bide.storage import Storage, StorageOptions
from tests.integration.caller import image, marker
from tests.integration.object_store import BUCKET, REGION
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that is too large for a message."""
    path = tmp_path_factory.mktemp("picture") / "noise.png"
    Image.effect_noise((640, 640), 100).save(path)
    assert path.stat().st_size > 256 * 1024
    return path


def test_submit_and_wait(client: Client, rig: Rig) -> None:
    """A job from first to last: its id, its state on the way, its result."""
    marked = marker()

    job_id = client.submit(image(marked, metadata={"order": "1042"}))
    result = client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)

    status = client.status(job_id)
    assert status is not None
    assert (status.state, status.provider_job_id) == (JobState.SUCCEEDED, result.provider_job_id)
    assert (result.job_id, result.metadata) == (job_id, {"order": "1042"})
    assert rig.store.read(result.outputs[0].key)[1]["ContentLength"] == result.outputs[0].size
    assert len(rig.purchases(marked)) == 1


def test_a_packed_record_answers_as_celery_does(client: Client, rig: Rig) -> None:
    """A worker packs the record once the caller has the answer; ledger and Celery give the same result all the same."""
    request = image(marker(), metadata={"order": "1043"})
    job_id = client.submit(request)
    waited = client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)

    with rig.server() as server:
        key = f"bide:{{photogpt/default}}:job:{job_id}"
        eventually(lambda: server.hexists(key, "0"), what="the record is packed")
        assert server.object("encoding", key) == "listpack"

    assert client.result(job_id) == waited
    status = client.status(job_id)
    assert status is not None
    assert (status.outputs, status.polls) == (tuple(output.uri for output in waited.outputs), waited.polls)
    assert client.submit(request, job_id=job_id) == job_id


def test_waiting_has_an_end(client: Client, rig: Rig) -> None:
    """`wait` gives up after its time-out, the job does not; `cancel` ends it."""
    job_id = client.submit(image("[fault:never_finishes]"))

    with pytest.raises(TimeoutError, match="it goes on"):
        client.wait(job_id, timeout_seconds=0.5)
    eventually(lambda: rig.state(job_id) == "running", what="the job runs")
    client.cancel(job_id)

    with pytest.raises(JobFailed) as failed:
        client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
    assert json.loads(str(failed.value))["code"] == FailureCode.CANCELED
    status = client.status(job_id)
    assert status is not None
    assert status.failure is not None
    assert (status.state, status.failure.code) == (JobState.CANCELED, FailureCode.CANCELED)


def test_one_key_is_one_job(client: Client, rig: Rig) -> None:
    """With the key of an earlier request the earlier job's id is returned; another request is refused."""
    marked = marker()
    request = image(marked, idempotency_key=marked)

    first, second = client.submit(request), client.submit(request)

    assert first == second
    with pytest.raises(IdempotencyConflictError):
        client.submit(image(f"{marked} in blue", idempotency_key=marked))
    client.wait(first, timeout_seconds=PATIENCE_SECONDS)
    assert len(rig.purchases(marked)) == 1


def test_a_wrong_request_goes_nowhere(client: Client, rig: Rig) -> None:
    """What can't be served is refused here, before there is a record or a message."""
    before = rig.counts()

    with pytest.raises(InvalidRequestError, match="modelID"):
        client.submit(image(params={"modelID": ""}))

    assert client.status("never-seen") is None
    assert rig.counts() == before


def test_a_large_picture_needs_a_place(client: Client, picture: Path) -> None:
    """Without `uploads` a picture that is too large for a message is refused, with advice."""
    with pytest.raises(InvalidRequestError, match=r"inputs\.image: \d+ bytes are too many"):
        client.submit(fabric(marker(), picture))


def test_a_large_picture_is_uploaded(picture: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `uploads` it goes to object storage first, and the provider gets it from there."""
    for name, value in rig.store.environment().items():
        monkeypatch.setenv(name, value)
    storage = Storage(StorageOptions(BUCKET, endpoint_url=rig.store.url, region=REGION))
    with Client(rig.redis.url, uploads=storage) as client:
        job_id = client.submit(fabric(marker(), picture))
        result = client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)

    assert [output.role for output in result.outputs] == ["image", "preview"]
    content, _ = rig.store.read(f"uploads/{hashlib.sha256(picture.read_bytes()).hexdigest()}")
    assert Image.open(io.BytesIO(content)).size == (640, 640)


def test_a_result_as_addresses(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """On request each output has an address at which anyone can fetch the very object, for a while."""
    for name, value in rig.store.environment().items():
        monkeypatch.setenv(name, value)
    store = object_store(BUCKET, endpoint_url=rig.store.url, region=REGION)
    with Client(rig.redis.url, uploads=store) as client:
        [job_id] = client.submit_many([image(marker())])
        assert client.result(job_id) is None
        client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
        signed = client.result(job_id, presign_seconds=60)
    assert signed is not None
    with urllib.request.urlopen(signed.outputs[0].url, timeout=10) as answer:
        assert hashlib.sha256(answer.read()).hexdigest() == signed.outputs[0].sha256


def test_many_are_checked_before_the_first(client: Client, rig: Rig) -> None:
    """One wrong request among them, and nothing is enqueued; repeated under the same ids nothing is bought twice."""
    before, marked = rig.counts(), marker()
    with pytest.raises(InvalidRequestError, match=r"^requests\[1\]: .*modelID"):
        client.submit_many([image(marked), image(params={"modelID": ""})])
    assert rig.counts() == before

    requests, ids = [image(f"{marked} {number}") for number in range(3)], [f"{marked}-{number}" for number in range(3)]
    assert client.submit_many(requests, job_ids=ids) == client.submit_many(requests, job_ids=ids) == ids
    for job_id in ids:
        client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
    assert len(rig.purchases(marked)) == 3

    with pytest.raises(IdempotencyConflictError) as refused:
        client.submit_many([requests[0], image("another")], job_ids=ids[:2])
    assert refused.value.__notes__ == [f"requests[1] was not enqueued; 1 of 2 jobs were: ['{ids[0]}']"]


def test_a_large_picture_under_a_key_is_one_job(picture: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that tries again with the same picture and key gets its job, though the picture is uploaded twice."""
    for name, value in rig.store.environment().items():
        monkeypatch.setenv(name, value)
    storage = Storage(StorageOptions(BUCKET, endpoint_url=rig.store.url, region=REGION))
    request = {**fabric(marker(), picture), "idempotency_key": marker()}
    with Client(rig.redis.url, uploads=storage) as client:
        first, second = client.submit(request), client.submit(request)
        client.wait(first, timeout_seconds=PATIENCE_SECONDS)
    assert first == second


def test_a_lost_message_is_sent_again(client: Client, rig: Rig) -> None:
    """The record comes before the message: when the broker forgets that, the sweeper sends it."""
    marked = marker()
    rig.worker.ask_to_end()
    rig.worker.wait(PATIENCE_SECONDS)
    try:
        job_id = client.submit(image(marked))
        with rig.server() as server:
            assert server.delete("bide.submit") == 1
    finally:
        rig.worker.start()

    assert client.wait(job_id, timeout_seconds=PATIENCE_SECONDS).job_id == job_id
    assert len(rig.purchases(marked)) == 1


def fabric(prompt: str, picture: Path) -> dict[str, object]:
    """A request with one picture, as a path."""
    named = {"provider": "nextry", "operation": "generate_image", "account": "main"}
    return {**named, "params": {"tool": "fabric", "prompt": prompt}, "inputs": {"image": picture}}
