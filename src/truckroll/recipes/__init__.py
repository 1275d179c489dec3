"""The closed recipe language: what is kept in step, said in a short TOML file."""
