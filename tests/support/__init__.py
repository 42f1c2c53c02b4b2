"""Real parts for tests: engines, a clock, waiting for facts, watched processes."""
