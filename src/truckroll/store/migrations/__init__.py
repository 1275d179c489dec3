"""Migrations: `pre` runs before the new code, `post` after it."""
