"""The processes: the Celery app, what it is wired to, and what runs beside the tasks."""
