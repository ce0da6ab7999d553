"""Reads CSV files with DuckDB and pyarrow, as a peer of ours would.

A line of the standard input is a JSON object: `path`, `delimiter`, `quote`, `escape` (or null), `columns` (names).
For each, a line of the standard output: for each reader the file's rows as lists of texts (null for null), read
once with every column as text (`text`) and once with the types that the reader infers (`typed`); or a string that
says why it refused the file.
"""

import datetime
import decimal
import json
import sys

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv


def shown(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return repr(value)
    return str(value)


def attempt(read):
    try:
        return [[shown(value) for value in row] for row in read()]
    except (duckdb.Error, pa.ArrowException, ValueError) as error:
        return str(error)


def with_duckdb(file, text):
    def quoted(value):
        return "'" + value.replace("'", "''") + "'"

    escape = file["escape"] or file["quote"]
    path, delimiter, quote, escape = map(quoted, (file["path"], file["delimiter"], file["quote"], escape))
    kinds = "all_varchar = true" if text else "auto_type_candidates = ['BOOLEAN', 'BIGINT', 'DOUBLE', 'DATE', 'TIMESTAMP', 'VARCHAR']"
    # The whole file is the sample, as it is for us.
    return duckdb.execute(
        f"select * from read_csv({path}, header = true, delim = {delimiter}, quote = {quote}, escape = {escape}, "
        f"strict_mode = true, sample_size = -1, {kinds})"
    ).fetchall()


def with_pyarrow(file, text):
    table = pacsv.read_csv(
        file["path"],
        read_options=pacsv.ReadOptions(use_threads=False),
        parse_options=pacsv.ParseOptions(
            delimiter=file["delimiter"],
            quote_char=file["quote"],
            double_quote=True,
            escape_char=file["escape"] or False,
            newlines_in_values=True,
            ignore_empty_lines=len(file["columns"]) > 1,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in file["columns"]} if text else None,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    return [[row[name] for name in file["columns"]] for row in table.to_pylist()]


def main():
    duckdb.execute("set TimeZone = 'UTC'")
    for line in sys.stdin:
        file = json.loads(line)
        answer = {
            name: {kind: attempt(lambda: read(file, kind == "text")) for kind in ("text", "typed")}
            for name, read in (("duckdb", with_duckdb), ("pyarrow", with_pyarrow))
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
