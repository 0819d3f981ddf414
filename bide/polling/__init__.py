"""When a job is polled: backoff, what its provider's jobs have taught of durations, and what an answer means."""
