"""What bide changes in Celery's worker; README.md beside this file says why, and how to see that it is still needed."""
