"""The heartbeat of a worker, and the health check that reads it: `python -m workers.health`."""
