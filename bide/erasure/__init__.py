"""Erasure: what jobs were asked and what they made is removed from bucket, ledger and results; what they cost stays."""
