"""HTTP: translates requests into service calls."""
