"""The job of bench/pipelines/orders.toml on Spark with Delta Lake: CSV -> bronze -> silver.

usage: spark.py INPUT.csv LAKE [--dedupe] [--rejects]

Prints one JSON object. `seconds` is of the job alone, after the Java machine is up; its processor
time cannot be told apart from inside, so whoever started this process counts it as a whole.
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import job
import spark_session

def main() -> None:
    source, lake, *options = sys.argv[1:]
    spark = spark_session.session("4g")
    started = time.perf_counter()
    job.run(spark, source, lake, dedupe="--dedupe" in options, rejects="--rejects" in options)
    result = {
        "seconds": time.perf_counter() - started,
        "versions": {"pyspark": spark.version, "delta-spark": spark_session.DELTA},
    }
    spark_session.stop(spark)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
