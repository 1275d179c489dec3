"""The systems: one folder each, a value that says how to speak with it."""
