"""Flower's pages about jobs: what the ledger knows of a job stands beside what Celery's events say."""
