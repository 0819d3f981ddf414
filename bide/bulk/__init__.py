"""Bulk runs: a file of requests, bought row by row under a window, whichever process dies meanwhile.

A run's record in Redis (`runs`) decides: the next row, the live rows, the counts. Input and results lie in object
storage. The feeder (`workers.bulk.feeder`) does a page of work at a time, and may be killed at any line of it. Nothing
in this package needs Celery.
"""
