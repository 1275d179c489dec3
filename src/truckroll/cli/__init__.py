"""The command line: thin over the use cases, and careful with words."""
