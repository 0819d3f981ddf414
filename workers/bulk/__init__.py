"""The feeder of bulk runs: rows become jobs, ended jobs become results."""
