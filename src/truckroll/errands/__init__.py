"""Durable background work on the engine: reads, writes, the timetable, renewals, reconciles."""
