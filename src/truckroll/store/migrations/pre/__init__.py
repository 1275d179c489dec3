"""Migrations that run before the new code."""
