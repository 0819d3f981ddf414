"""The settings of a deployment: what the environment may say, and what is wrong with it."""
