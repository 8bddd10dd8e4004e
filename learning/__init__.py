"""What training a classifier and training a generator share: an optimiser, a precision. Imports no other room."""
