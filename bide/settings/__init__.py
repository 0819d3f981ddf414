"""The settings of a deployment: how the environment is read, which variables there are, and what is wrong with them."""
