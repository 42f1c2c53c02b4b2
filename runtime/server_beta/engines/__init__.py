"""The embedded Postgres: started, found again and stopped with the server."""
