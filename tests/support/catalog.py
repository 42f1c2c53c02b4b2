"""What the schema says about itself."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

_SCHEMA = """
SELECT 'column', attrelid::regclass::text, attname::text, format_type(atttypid, atttypmod), attnotnull::text,
    attidentity::text || attgenerated::text, pg_get_expr(adbin, adrelid)
FROM pg_attribute
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated::text, '', ''
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', tablename::text, indexname::text, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'function', '', proname::text, pg_get_functiondef(oid), '', '', ''
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname::text, pg_get_triggerdef(pg_trigger.oid), '', '', ''
FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1, 2, 3
"""
_LINKS = """
SELECT
    conname::text AS name, conrelid::regclass::text AS child, confrelid::regclass::text AS parent,
    ARRAY(
        SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place
    ) AS columns,
    ARRAY(
        SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place
    ) AS parent_columns
FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'public'::regnamespace
ORDER BY child, name
"""


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key."""

    name: str
    child: str
    parent: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]

    @property
    def pairs(self) -> dict[str, str]:
        """The parent's column for each of the child's."""
        return dict(zip(self.columns, self.parent_columns, strict=True))


async def schema(connection: asyncpg.Connection[asyncpg.Record]) -> list[tuple[object, ...]]:
    """Return all that makes two schemas differ."""
    return [tuple(row) for row in await connection.fetch(_SCHEMA)]


async def links(connection: asyncpg.Connection[asyncpg.Record]) -> list[Link]:
    """Return every foreign key."""
    return [
        Link(row["name"], row["child"], row["parent"], tuple(row["columns"]), tuple(row["parent_columns"]))
        for row in await connection.fetch(_LINKS)
    ]


async def columns(connection: asyncpg.Connection[asyncpg.Record], type_name: str) -> set[tuple[str, str]]:
    """Return (table, column) of every column of a type."""
    rows = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND udt_name = $1",
        type_name,
    )
    return {(row["table_name"], row["column_name"]) for row in rows}
