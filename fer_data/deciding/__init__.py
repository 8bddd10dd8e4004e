"""What the decision log is made of: its events, the database they lie in, and how that database's form changes."""
