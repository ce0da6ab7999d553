"""The job of bench/pipelines/orders.toml on Sail: CSV -> bronze Delta -> silver Delta.

usage: sail.py INPUT.csv LAKE [--dedupe] [--rejects]

Prints one JSON object. `seconds` and `cpu_seconds` are of the job alone, without the start of the
interpreter and the server, which is the figure that is kindest to Sail.
"""

import importlib.metadata
import json
import resource
import sys
import time

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

sys.path.insert(0, __file__.rsplit("/", 1)[0])
import job


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    source, lake, *options = sys.argv[1:]
    server = SparkConnectServer(port=0)
    server.start(background=True)
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()

    started, started_cpu = time.perf_counter(), cpu()
    job.run(spark, source, lake, dedupe="--dedupe" in options, rejects="--rejects" in options)
    result = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": cpu() - started_cpu,
        "versions": {name: importlib.metadata.version(name) for name in ("pysail", "pyspark-client")},
    }
    print(json.dumps(result), flush=True)
    spark.stop()
    server.stop()


if __name__ == "__main__":
    main()
