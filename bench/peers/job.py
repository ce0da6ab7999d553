"""The order job in Spark's own words, for every engine that speaks them."""

from pyspark.sql import functions as f

SCHEMA = (
    "order_id bigint, customer_id bigint, product_id string, category string, state string, "
    "quantity int, price double, ts timestamp"
)


def run(spark, source: str, lake: str, *, dedupe: bool, rejects: bool) -> None:
    """Lands the file in bronze and cleans bronze into silver.

    `dedupe` drops repeated orders, which costs these engines a shuffle: they keep no order of rows
    and so cannot just look at the row before. The repeats are whole rows, and `distinct` is several
    times faster here than `dropDuplicates` by the order's number. `rejects` writes the refused rows to a table too.
    """
    bronze, silver = f"{lake}/bronze/orders", f"{lake}/silver/orders"
    landed = spark.read.schema(SCHEMA).option("header", True).csv(source)
    landed.write.format("delta").mode("append").save(bronze)

    orders = spark.read.format("delta").load(bronze)
    clean = orders.where(f.col("quantity") > 0)
    clean = clean.withColumn("category", f.lower(f.trim("category")))
    if dedupe:
        clean = clean.distinct()
    clean.write.format("delta").mode("append").save(silver)
    if rejects:
        refused = orders.where(~f.coalesce(f.col("quantity") > 0, f.lit(False)))
        refused.write.format("delta").mode("append").save(f"{lake}/silver/orders_rejected")
