"""Postgres: migrations, SQL files and the repositories that run them."""
