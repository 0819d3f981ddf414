"""Bulk runs: a file of requests, bought row by row under a window, whatever dies meanwhile; no Celery in here.

A run's truth is its record in Redis (`runs`): which row comes next, which rows are live, what was counted. Input and
results lie in object storage. The feeder (`feeder`) does a page of work at a time and may be killed at any line of it.
"""
