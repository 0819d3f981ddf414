"""The all-in-one stack: broker, object storage, sandbox and the Procfile's processes, as children of one command."""
