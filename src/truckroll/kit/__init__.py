"""All that a connector may use."""
