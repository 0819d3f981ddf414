"""Measures bide against a plain script and a naive Celery worker: `python -m bench`."""
