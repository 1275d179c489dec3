"""Technicians' time: who is booked twice, and whose calendar is whose. Pure."""
