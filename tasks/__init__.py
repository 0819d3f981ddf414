"""The Celery tasks: thin, they say what happens when. The message carries an id, the ledger's record decides."""
