"""A Spark session that reads and writes Delta tables, on this machine alone."""

import os

from pyspark.sql import SparkSession

DELTA = "4.3.1"
JARS = [f"io.delta:delta-spark_4.1_2.13:{DELTA}", f"io.delta:delta-storage:{DELTA}"]


# What reads Kafka, with the client that it was built against.
KAFKA = [
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1",
    "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.0.0",
    "org.apache.kafka:kafka-clients:3.9.1",
    "org.apache.commons:commons-pool2:2.12.1",
]


# What Spark's own folder has already.
BROUGHT = [f"org.apache.spark:spark-{part}_2.13" for part in ("core", "sql", "sql-api", "catalyst", "tags", "streaming")]
BROUGHT += ["org.scala-lang:*", "org.antlr:*", "io.unitycatalog:*", "org.apache.hadoop:*", "org.slf4j:*", "org.lz4:*"]
BROUGHT += ["org.xerial.snappy:*", "com.github.luben:*", "com.google.code.findbugs:*", "org.scala-lang.modules:*"]


def session(memory: str, kafka: bool = False) -> SparkSession:
    """A session whose Java machine may use `memory`, such as "4g"."""
    jars = JARS + (KAFKA if kafka else [])
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
        .config("spark.jars.packages", ",".join(jars))
        # What these need beyond each other, Spark brings along.
        .config("spark.jars.excludes", ",".join(BROUGHT))
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
