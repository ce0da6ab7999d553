"""The stream job on Spark structured streaming with Delta Lake: Kafka -> bronze -> silver -> gold.

usage: stream_spark.py BROKERS TOPIC LAKE

Three queries, each to the end of what is there: land the events; decode them and drop what is sent
again, within a watermark; sum them by minute, state and product. Prints one JSON object. `seconds` is of
the job alone, after the Java machine is up.
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import spark_session

COLUMNS = (
    "order_id string, timestamp timestamp, customer_id bigint, product string, category string, "
    "price decimal(10,2), quantity int, state string"
)


def main() -> None:
    brokers, topic, lake = sys.argv[1:]
    spark = spark_session.session("4g", kafka=True)
    from pyspark.sql import functions as f

    def write(rows, table: str, mode: str = "append"):
        query = (
            rows.writeStream.format("delta")
            .outputMode(mode)
            .option("checkpointLocation", f"{lake}/checkpoints/{table}")
            .trigger(availableNow=True)
            .start(f"{lake}/{table}")
        )
        query.awaitTermination()

    def read(table: str):
        return spark.readStream.format("delta").load(f"{lake}/{table}")

    started = time.perf_counter()
    events = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", brokers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    decoded = events.select(
        f.from_json(f.col("value").cast("string"), COLUMNS).alias("event"),
        f.col("value").alias("_raw"),
        f.col("partition"),
        f.col("offset"),
    )
    write(decoded.select("event.*", "_raw", "partition", "offset"), "bronze/orders")
    orders = read("bronze/orders").drop("_raw").withWatermark("timestamp", "15 minutes")
    orders = orders.dropDuplicatesWithinWatermark(["order_id"])
    write(orders.withColumn("total_amount", f.col("price") * f.col("quantity")), "silver/orders")
    windows = (
        read("silver/orders")
        .withWatermark("timestamp", "15 minutes")
        .groupBy(f.window("timestamp", "1 minute"), "state", "product")
        .agg(f.sum("total_amount").alias("total_sales"), f.sum("quantity").alias("total_items"), f.count("*").alias("orders"))
        .select(f.col("window.start").alias("window_start"), f.col("window.end").alias("window_end"),
                "state", "product", "total_sales", "total_items", "orders")
    )
    write(windows, "gold/order_windows", "complete")
    result = {
        "seconds": time.perf_counter() - started,
        "versions": {"pyspark": spark.version, "delta-spark": spark_session.DELTA},
    }
    spark_session.stop(spark)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
