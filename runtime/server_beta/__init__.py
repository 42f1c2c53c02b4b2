"""server-beta: claude-mem's runtime on Postgres and BullMQ, for teams and for one person."""
