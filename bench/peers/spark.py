"""The job of bench/pipelines/orders.toml on Spark with Delta Lake: CSV -> bronze -> silver.

usage: spark.py INPUT.csv LAKE [--dedupe] [--rejects]

Prints one JSON object. `seconds` is of the job alone, after the Java machine is up; its processor
time cannot be told apart from inside, so whoever started this process counts it as a whole.
"""

import json
import os
import sys
import time

from pyspark.sql import SparkSession

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import job

DELTA = "4.3.1"
JARS = [f"io.delta:delta-spark_4.1_2.13:{DELTA}", f"io.delta:delta-storage:{DELTA}"]


def main() -> None:
    source, lake, *options = sys.argv[1:]
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", str(os.cpu_count()))
        .config("spark.databricks.delta.snapshotPartitions", str(os.cpu_count()))
        .config("spark.jars.packages", ",".join(JARS))
        # What these need beyond each other, Spark brings along.
        .config("spark.jars.excludes", "org.apache.spark:*,org.scala-lang:*,org.antlr:*,io.unitycatalog:*")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .getOrCreate()
    )
    started = time.perf_counter()
    job.run(spark, source, lake, dedupe="--dedupe" in options, rejects="--rejects" in options)
    result = {
        "seconds": time.perf_counter() - started,
        "versions": {"pyspark": spark.version, "delta-spark": DELTA},
    }
    # Whoever measures counts what this process waited for, so the Java machine is waited for.
    gateway = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
