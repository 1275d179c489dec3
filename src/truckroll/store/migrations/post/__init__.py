"""Migrations that run after the new code: what the old code still needed goes here."""
