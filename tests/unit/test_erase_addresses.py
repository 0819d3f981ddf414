"""`bide erase` and `bide ledger confirm` where hosts reach ledgers of one bucket under several names."""

from __future__ import annotations

from typing import Any

import pytest

from bide.cli import ledger as command
from bide.erasure.wanted import Wanted
from bide.errors import ConfigurationError, StorageError
from bide.ledger.identity import LedgerState, read_state
from bide.ledger.safety import LEDGER_KEY
from tests.unit.command import Command
from tests.unit.erase_scene import Scene, known, left

INSIDE, HOST, ELSE = "redis://redis:6379/0", "redis://127.0.0.1:6379/0", "redis://else:6379/0"


@pytest.fixture(name="scene")
def _scene() -> Scene:
    return Scene()


def be(scene: Scene, ledger_id: str, looked_at: float = 200.0) -> None:
    """The ledger has this id."""
    scene.stage.server.hset(LEDGER_KEY, mapping={"id": ledger_id, "looked_at": looked_at})


@pytest.fixture(name="ledger")
def _ledger(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`bide ledger ...` on the host, which reaches the ledger at `HOST`."""
    run = Command(scene.stage)
    monkeypatch.setenv("BIDE_BROKER_URL", HOST)
    monkeypatch.setattr(command, "_known", lambda _: known(scene, HOST))
    monkeypatch.setattr(command, "object_store", lambda _: scene.storage)
    return lambda *words: run("ledger", *words)


@pytest.mark.parametrize("ledger_id", ["Y", "Y before"], ids=["as it is", "an old backup"])
def test_another_deployment_has_the_address(scene: Scene, ledger: Any, ledger_id: str) -> None:
    """The operator of Y reaches it under the name that X's workers use: neither erase nor confirm takes X's jobs."""
    be(scene, ledger_id)
    known(scene, INSIDE).write(LedgerState("Y", 200.0), earlier=["Y before"])
    known(scene, HOST).write(LedgerState("X", 100.0))
    key = left(scene, "x", "X")
    before = dict(scene.objects)
    with pytest.raises(ConfigurationError, match="another deployment has this address") as raised:
        scene.eraser(Wanted(tenant="acme"), known=known(scene, HOST)).run()
    assert "`bide ledger confirm`" not in str(raised.value)
    for words in (("show",), ("confirm", "--yes")):
        result = ledger(*words)
        assert result.exit_code == 1
        assert f"this ledger is known as {known(scene, INSIDE).key}" in result.output
        assert "use the workers' BIDE_LEDGER_URL" in result.output
    assert read_state(scene.stage.server).id == ledger_id
    assert scene.objects == before
    assert key in scene.objects


def test_what_the_ledger_was_at_another_address_locks_nobody_out(scene: Scene, ledger: Any) -> None:
    """The host's object names an earlier life; to confirm there does not stop the workers."""
    be(scene, "B")
    known(scene, INSIDE).write(LedgerState("B", 200.0), earlier=["A"])
    known(scene, HOST).write(LedgerState("A", 100.0))
    key = left(scene, "x", "A")
    assert scene.eraser(Wanted(tenant="acme"), known=known(scene, HOST)).run().erased == ["x"]
    assert key not in scene.objects
    assert "bide ledger confirm" in ledger("show").output
    assert ledger("confirm", "--yes").exit_code == 0
    assert read_state(scene.stage.server).id == "B"
    assert known(scene, INSIDE).read().id == "B"
    assert known(scene, HOST).ids() == ("B", "A")
    assert ledger("show").exit_code == 0


@pytest.mark.parametrize("url", [INSIDE, HOST, ELSE])
def test_what_the_ledger_was_lets_no_old_backup_pass(scene: Scene, url: str) -> None:
    """Such a backup knows nothing of the jobs since, which live."""
    be(scene, "A", 100.0)
    known(scene, INSIDE).write(LedgerState("B", 200.0), earlier=["A"])
    known(scene, HOST).write(LedgerState("A", 100.0))
    key = left(scene, "x", "B")
    with pytest.raises(ConfigurationError, match="nothing is erased"):
        scene.eraser(Wanted(tenant="acme"), known=known(scene, url)).run()
    assert key in scene.objects


@pytest.mark.parametrize("content", [b"junk", b"[]", b"{}", b'{"id": 5}', b'{"id": "x", "looked_at": null}', b"\xff"])
def test_a_damaged_object_is_no_new_ledger(scene: Scene, ledger: Any, content: bytes) -> None:
    """The error names it, and says what to do; nothing is erased, confirmed or written."""
    be(scene, "ours")
    here = known(scene, HOST)
    scene.job("a")
    scene.objects[here.key] = content
    before = dict(scene.objects)
    for call in (here.read, here.ids, scene.eraser(Wanted(frozenset({"a"})), known=here).run):
        with pytest.raises(StorageError, match=f"{here.key} is damaged.*remove the object"):
            call()
    for words in (("show",), ("confirm", "--yes")):
        result = ledger(*words)
        assert isinstance(result.exception, StorageError) or here.key in result.output
        assert result.exit_code == 1
    assert scene.objects == before
