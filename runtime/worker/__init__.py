"""worker: claude-mem's runtime for one person on one machine, on SQLite."""
