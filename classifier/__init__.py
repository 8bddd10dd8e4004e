"""Train a classifier of shown expressions, and judge faces with it."""
