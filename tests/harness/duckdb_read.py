"""Runs one SQL statement over Delta tables and prints its rows as JSON lines.

usage: duckdb_read.py LAKE < statement.sql

`{lake}` in the statement stands for the lake's folder: delta_scan('{lake}/silver/users').
Decimals, dates and timestamps are printed as text, so nothing is rounded on the way; timestamps
with a zone are printed in UTC.
"""

import importlib.resources
import json
import sys

import duckdb

from plain import plain


def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    # Loaded from where pip put it: nothing is written to the user's home, nothing is downloaded.
    version = "v" + duckdb.__version__
    extension = importlib.resources.files("duckdb_extension_delta") / "extensions" / version / "delta.duckdb_extension"
    connection.load_extension(str(extension))
    connection.execute("set timezone = 'UTC'")
    return connection


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    statement = sys.stdin.read().replace("{lake}", sys.argv[1].replace("'", "''"))
    try:
        result = connect().execute(statement)
        names = [column[0] for column in result.description]
        while rows := result.fetchmany(10_000):
            for row in rows:
                print(json.dumps(dict(zip(names, map(plain, row))), ensure_ascii=False))
    except duckdb.Error as error:
        print(f"duckdb: {error}\nin: {statement}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
