"""Metrics for Prometheus: what worker processes count (`tally`), what stands in Redis (`reading`), and its exporter."""
