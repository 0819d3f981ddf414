"""The simulated providers."""
