"""Observe, plan, perform: the hub's own work."""
