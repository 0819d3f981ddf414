"""What runs in a worker process beside the tasks, each wired by the toolbox."""
