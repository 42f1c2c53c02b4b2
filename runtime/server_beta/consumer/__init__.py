"""Consumers: translate delivered job ids into service calls."""
