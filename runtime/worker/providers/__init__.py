"""Generators: turn recorded work into observations."""
