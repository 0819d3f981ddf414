"""Logs and traces of steps: one line and one span each, without words of a request."""
