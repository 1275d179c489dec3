"""The hub's use cases, one per file; `bootstrap` alone wires them to the store and the systems."""
