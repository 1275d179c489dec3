"""A sample company: a table of visits with days counted from a Monday."""
