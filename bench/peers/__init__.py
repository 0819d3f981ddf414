"""The workers of the peers: other ways to do the same jobs, each a module that its own command starts."""
