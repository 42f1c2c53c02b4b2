"""Use cases, one a module, named by its verb; the only place where a transaction begins."""
