"""The reviewing surface: one component in the browser, and one reviewer's way through one queue on the server."""
