"""Applies upserts to Delta tables by delta-rs' MERGE and compares the outcome with other tables.

usage: oracle.py < steps.jsonl

Each line is one step: {"theirs": folder, "ours": folder, "columns": [[name, type]], "rows": [[...]],
"key": [...], "order_by": name or null, "delete_when": [name, [text]] or null, "partition_by": [...]}.
The rows have distinct keys. Each is answered by one line: {"ours": [...], "theirs": [...]}, the
rows that only one of the tables has, read by DuckDB.
"""

import importlib.resources
import json
import os
import sys

import duckdb
import pyarrow
from deltalake import DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType

TYPES = {"int": pyarrow.int64(), "text": pyarrow.string()}
DELTA_TYPES = {"int": "long", "text": "string"}


def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    version = "v" + duckdb.__version__
    extension = importlib.resources.files("duckdb_extension_delta") / "extensions" / version / "delta.duckdb_extension"
    connection.load_extension(str(extension))
    return connection


def apply(step: dict) -> None:
    arrays = [
        pyarrow.array([row[index] for row in step["rows"]], type=TYPES[kind])
        for index, (_, kind) in enumerate(step["columns"])
    ]
    rows = pyarrow.table(arrays, names=[name for name, _ in step["columns"]])
    if not os.path.isdir(os.path.join(step["theirs"], "_delta_log")):
        write_deltalake(step["theirs"], rows.slice(0, 0), partition_by=step["partition_by"] or None)
    if not step["rows"]:
        return
    table = DeltaTable(step["theirs"])
    # Columns are added before: where MERGE adds them, rows that a predicate keeps as they are get
    # the value of the source row that they matched (delta-rs 1.6.6).
    known = {field.name for field in table.schema().fields}
    late = [Field(name, PrimitiveType(DELTA_TYPES[kind])) for name, kind in step["columns"] if name not in known]
    if late:
        table.alter.add_columns(late)
    # Null is a key and a value like any other.
    same = " and ".join(f"(t.{k} = s.{k} or (t.{k} is null and s.{k} is null))" for k in step["key"])
    newer, gone = "true", "false"
    if order := step["order_by"]:
        newer = f"(t.{order} is null or (s.{order} is not null and s.{order} >= t.{order}))"
    if step["delete_when"]:
        column, words = step["delete_when"]
        gone = " or ".join(f"(s.{column} is not null and s.{column} = '{word}')" for word in words)
    (
        table
        .merge(rows, same, source_alias="s", target_alias="t")
        .when_matched_delete(predicate=f"{newer} and ({gone})")
        .when_matched_update_all(predicate=newer)
        .when_not_matched_insert_all(predicate=f"not ({gone})")
        .execute()
    )


def main() -> None:
    connection = connect()
    for line in sys.stdin:
        step = json.loads(line)
        apply(step)
        columns = ", ".join(name for name, _ in step["columns"])
        read = {side: f"select {columns} from delta_scan('{step[side]}')" for side in ("ours", "theirs")}
        only = {
            side: connection.execute(f"{read[side]} except all {read[other]}").fetchall()
            for side, other in (("ours", "theirs"), ("theirs", "ours"))
        }
        print(json.dumps(only), flush=True)


if __name__ == "__main__":
    main()
