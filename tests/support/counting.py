"""Look into the store past the code under test."""

from __future__ import annotations

from server_beta.storage.database import Database


async def count(database: Database, table: str, where: str = "true") -> int:
    """Count a table's rows."""
    rows = await run_sql(database, f"SELECT count(*) AS rows FROM {table} WHERE {where}")
    return int(str(rows[0]["rows"]))


async def run_sql(database: Database, sql: str, *arguments: object) -> list[dict[str, object]]:
    """Run a statement of the test's own."""
    async with database.connection() as connection:
        return [dict(row) for row in await connection._connection.fetch(sql, *arguments)]


async def every_count(database: Database) -> dict[str, int]:
    """Count the rows of every table, those of the queue included."""
    tables = await run_sql(
        database,
        """
        SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
        """,
    )
    return {str(table["name"]): await count(database, str(table["name"])) for table in tables}
