"""Runs SQL statements over Delta tables with Spark and prints their rows as JSON lines.

usage: spark_read.py LAKE < statements.sql

One statement a line; `{lake}` in it stands for the lake's folder: delta.`{lake}/silver/users`.
A line with an empty JSON array ends the rows of each statement. Values are printed as by
duckdb_read.py, so that the two can be compared as text.
"""

import datetime
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "peers"))

import spark_session
from plain import plain


def zoned(value):
    # Spark gives points in time in the zone of the process, without saying so.
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.timezone.utc)
    return value


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    statements = [line for line in sys.stdin.read().splitlines() if line.strip()]
    os.environ["TZ"] = "UTC"
    spark = spark_session.session("2g")
    for statement in statements:
        rows = spark.sql(statement.replace("{lake}", sys.argv[1])).toLocalIterator()
        for row in rows:
            values = {name: plain(zoned(value)) for name, value in row.asDict().items()}
            print(json.dumps(values, ensure_ascii=False))
        print("[]")
    spark_session.stop(spark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
