"""HTTP, guarded downloads and inputs: what a worker exchanges with servers that are not its own."""
