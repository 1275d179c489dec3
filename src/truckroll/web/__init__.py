"""The HTTP face: the API, the receiver of pushes, health and metrics. Thin over `app/`."""
