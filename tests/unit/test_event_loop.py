"""The event loop beside the threads: what work yields, and when."""

from __future__ import annotations

import queue

from workers.services.event_loop import _drain


def test_what_comes_in_as_the_work_ends_is_not_lost() -> None:
    """The last result may come in between the look at the queue and the look at the work."""
    done: queue.SimpleQueue[str] = queue.SimpleQueue()

    def over() -> bool:
        done.put("the last")
        return True

    assert _drain(done, 1, 0.001, over) == ["the last"]


def test_work_that_is_over_without_a_result_yields_none() -> None:
    """It broke off: the caller raises what it raised."""
    assert _drain(queue.SimpleQueue[str](), 1, 0.001, lambda: True) == []
