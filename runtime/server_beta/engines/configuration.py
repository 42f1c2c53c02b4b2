"""How the embedded server is set up, whatever stands in the cluster's own files: given on its command line."""

from __future__ import annotations

from collections.abc import Mapping

SETTINGS: Mapping[str, str] = {
    "cluster_name": "claude-mem",
    # Reachable by its socket alone, and that in a folder of mode 0700.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # What was answered with success outlives a power cut.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Crash recovery needs no more than this, and nothing else reads the log of this server.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "checkpoint_timeout": "15min",
    # A laptop's memory and its solid-state disk.
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "random_page_cost": "1.1",
    "max_connections": "100",
    "jit": "off",
    # Few processes: no I/O workers, no parallel ones, no replication launcher.
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "autovacuum": "on",
    "autovacuum_max_workers": "2",
    # The passwords are random and 256 bits long: more rounds would cost time at each connection and protect nothing.
    "scram_iterations": "1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    # The message of an ERROR quotes values ("invalid input syntax ..."), its details quote rows and statements. `log`
    # is above `error` here: what remains is starts, stops, crashes, FATAL and PANIC, each in one line without details.
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    "log_lock_waits": "off",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length_on_error": "0",
}
