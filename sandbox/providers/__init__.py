"""The providers, a file or more each."""
