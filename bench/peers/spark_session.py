"""A Spark session that reads and writes Delta tables, on this machine alone."""

import os

from pyspark.sql import SparkSession

DELTA = "4.3.1"
JARS = [f"io.delta:delta-spark_4.1_2.13:{DELTA}", f"io.delta:delta-storage:{DELTA}"]


def session(memory: str) -> SparkSession:
    """A session whose Java machine may use `memory`, such as "4g"."""
    return (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.memory", memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
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


def stop(spark: SparkSession) -> None:
    """Ends the session and waits for its Java machine, so that whoever measures this process counts it."""
    gateway = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
