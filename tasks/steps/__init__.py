"""The steps of a job: submit, store, answer."""
