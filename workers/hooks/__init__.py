"""The endpoint that providers call when a job has ended: it only has the job's next poll made at once."""
