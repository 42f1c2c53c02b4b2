"""Benchmarks: every figure beside something that runs in the same run. `python -m bench [part ...]`."""
