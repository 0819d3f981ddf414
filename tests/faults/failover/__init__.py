"""Failovers of Redis under Sentinel: leaders are killed, stopped and cut off, and every job is counted."""
