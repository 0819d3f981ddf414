"""Scheduled bulk runs: which occurrences are due, and their beginning in a worker."""
