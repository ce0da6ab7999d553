"""Compares what landed of JSON lines with what was written, and with what DuckDB and pyarrow read.

Python's own reader keeps every digit, so it says what was written. Every line has to be a row that holds the
same, or in quarantine. Where another reader differs from what was written, the kind of difference is counted
and has to be one of those below.
"""

import collections
import json
import pathlib
import sys
from decimal import Decimal

import duckdb
import pyarrow.json

KNOWN = {
    "refused": "it reads the file not at all",
    "rounded": "a number is a double, which has fewer digits",
    "time": "a text that looks like a time became one",
    "typed": "a text that looks like a number or a truth value became one, or the other way round",
    "case": "of two names that differ in case alone one is lost or named anew",
}


def exact(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def same(written, landed):
    """Whether a landed value is the written one."""
    if written is None or landed is None:
        return written is None and landed is None
    if isinstance(written, bool):
        return landed is written or landed == ("true" if written else "false")
    if isinstance(written, Decimal):
        try:
            # Of a number halfway between two that are written alike either may be shown: it is the same double.
            same_double = len(written.as_tuple().digits) <= 17 and float(landed) == float(written) != float("inf")
            return not isinstance(landed, bool) and (Decimal(landed) == written or same_double)
        except (ArithmeticError, TypeError, ValueError):
            return False
    if isinstance(written, str):
        return landed == written
    if isinstance(landed, str):
        try:
            return same(written, exact(landed))
        except ValueError:
            return False
    if isinstance(written, list):
        return isinstance(landed, list) and len(landed) == len(written) and all(map(same, written, landed))
    return isinstance(landed, dict) and all(same(written.get(key), landed.get(key)) for key in {*written, *landed})


def check(name, line, row):
    """What is wrong with a landed row."""
    rescued = exact(row["_rescued"]) if row.get("_rescued") else {}
    for key in {*line, *row} - {"_lane", "_position", "_rescued"}:
        if same(line.get(key), row.get(key)) or (key in rescued and same(line.get(key), rescued[key])):
            continue
        return f"{name}: `{key}` was written as {line.get(key)!r} and landed as {row.get(key)!r} (rescued {rescued})"
    return None


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, Decimal)):
        return Decimal(repr(value) if isinstance(value, float) else value)
    return value


def kind_of(written, other):
    """How what another reader has differs from what was written; None where it does not."""
    if same(written, other):
        return None
    if isinstance(written, (dict, list)):
        if isinstance(written, list) and isinstance(other, list) and len(written) == len(other):
            return next((kind for kind in map(kind_of, written, other) if kind), None)
        if isinstance(written, dict) and isinstance(other, dict):
            for key in {*written, *other}:
                kind = kind_of(written.get(key), other.get(key))
                if kind:
                    lower = [name.lower() for name in {*written, *other}]
                    return "case" if lower.count(key.lower()) > 1 else kind
            return None
        return kind_of(written, exact(other)) if isinstance(other, str) else "typed"
    if isinstance(written, Decimal) and isinstance(other, Decimal):
        return "rounded"
    if isinstance(written, str) and not isinstance(other, (Decimal, bool, str)) and other is not None:
        return "time"
    if isinstance(written, Decimal) and isinstance(other, str):
        return "rounded"
    if other is None:
        return "case"
    return "typed"


def compare(reader, lines, rows, counts, sampled):
    for line, row in zip(lines, rows):
        for key in {*line, *row}:
            kind = kind_of(line.get(key), plain(row.get(key)))
            if kind:
                counts[reader, kind] += 1
                sampled.setdefault((reader, kind), (key, line.get(key), row.get(key)))


def main(folder):
    problems, counts, sampled, cells = [], collections.Counter(), {}, 0
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        lines = [exact(line) for line in path.read_text().split("\n") if line]
        cells += sum(map(len, lines))
        done = {}
        for text in filter(None, path.with_suffix(".ours").read_text().split("\n")):
            row = exact(text)
            place = row["_bad"] if "_bad" in row else row["_position"]
            if place in done:
                problems.append(f"{path.stem}: line {place} is there twice")
            done[place] = row
        for place, line in enumerate(lines):
            row = done.pop(place, None)
            if row is None:
                problems.append(f"{path.stem}: line {place} is lost")
            elif "_bad" in row:
                counts["ours", "quarantine"] += 1
            elif problem := check(f"{path.stem}: line {place}", line, row):
                problems.append(problem)
        problems += [f"{path.stem}: line {place} was never written" for place in done]
        try:
            found = duckdb.sql(f"select * from read_json('{path}', format = 'newline_delimited', sample_size = -1)")
            compare("duckdb", lines, [dict(zip(found.columns, row)) for row in found.fetchall()], counts, sampled)
        except duckdb.Error:
            counts["duckdb", "refused"] += 1
        try:
            compare("pyarrow", lines, pyarrow.json.read_json(path).to_pylist(), counts, sampled)
        except (pyarrow.ArrowException, ValueError):
            counts["pyarrow", "refused"] += 1
    for (reader, kind), count in sorted(counts.items()):
        print(f"{reader}: {count} times {KNOWN.get(kind, kind)} {sampled.get((reader, kind), '')}")
        if reader != "ours" and kind not in KNOWN:
            problems.append(f"{reader} differs in a way that is not listed: {kind}")
    print(f"{cells} values compared")
    for problem in problems[:20]:
        print(problem)
    sys.exit(1 if problems else 0)


main(sys.argv[1])
