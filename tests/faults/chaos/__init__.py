"""Chaos: some thousand jobs, a seeded plan of what dies, hangs, lies or is lost, and every job counted."""
