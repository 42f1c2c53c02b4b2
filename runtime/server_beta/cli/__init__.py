"""The command line: one module a noun or a verb; `main` names the commands of this runtime."""
