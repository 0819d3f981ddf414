"""Flower's search, which also finds why a task failed: Flower itself looks at results, and a failure has none."""

from __future__ import annotations

import copy
from typing import Any

from flower.utils.search import TaskSearchEngine

from config.flower_tasks import failure_text


class ReasonSearch(TaskSearchEngine):  # type: ignore[misc]  # Flower has no types
    """Finds failed tasks by the text that their rows show as the result."""

    def _index(self, task_id: str, task: Any) -> None:
        if task.state == "FAILURE":
            task = copy.copy(task)
            task.result = failure_text(str(task.exception)) or str(task.exception)
        super()._index(task_id, task)
