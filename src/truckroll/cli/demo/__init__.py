"""The demo: a story in two chapters, each with a company of its own, told by the real commands."""
