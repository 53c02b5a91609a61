"""Rows on their way into tables of the judge's database."""

from typing import Any

import duckdb
import pyarrow as pa

ROWS_AT_ONCE = 50_000

ARROW = {
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "BIGINT[]": pa.list_(pa.int64()),
    "BLOB": pa.binary(),
}

Row = tuple[Any, ...]


class Table:
    """Rows on their way into a table, in batches."""

    def __init__(self, db: duckdb.DuckDBPyConnection, name: str, columns: dict[str, str]) -> None:
        self.db = db
        self.name = name
        self.schema = pa.schema([(column, ARROW[kind]) for column, kind in columns.items()])
        self.rows: list[Row] = []
        db.execute(f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})")

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if len(self.rows) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self.rows:
            return
        columns = zip(*self.rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        self.db.register("incoming", pa.Table.from_arrays(arrays, schema=self.schema))
        self.db.execute(f"INSERT INTO {self.name} SELECT * FROM incoming")  # noqa: S608 - our own table's name
        self.db.unregister("incoming")
        self.rows.clear()
