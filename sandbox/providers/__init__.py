"""The four providers, one file each."""
