"""Webhooks: the addresses under which providers call, and the signed callbacks that tell of a job's end."""
