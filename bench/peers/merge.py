"""The upserts of bench/src/upsert.rs by delta-rs' MERGE.

usage: merge.py TABLE SOURCE.parquet

Prints one JSON object. `seconds` and `cpu_seconds` are of the merge alone, without the start of the
interpreter and the reading of the source, which is the figure that is kindest to it.
"""

import importlib.metadata
import json
import resource
import sys
import time

import pyarrow.parquet
from deltalake import DeltaTable


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    table, source = sys.argv[1:]
    rows = pyarrow.parquet.read_table(source)
    started, started_cpu = time.perf_counter(), cpu()
    merged = (
        DeltaTable(table)
        .merge(rows, "target.order_id = source.order_id", source_alias="source", target_alias="target")
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )
    result = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": cpu() - started_cpu,
        "files_removed": merged["num_target_files_removed"],
        "files_added": merged["num_target_files_added"],
        "versions": {"deltalake": importlib.metadata.version("deltalake")},
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
