//! Files from the world outside.

use arrow_array::cast::AsArray;
use sluicebox_core::plan::{Encoding, Format};

use super::harness::{Folder, csv, data};

fn over(folder: &str, format: Format) -> Option<Folder> {
    let path = data(folder)?;
    let mut source = Folder::new(format);
    source.spec.path = path.display().to_string();
    Some(source)
}

#[test]
fn an_event_hubs_capture_file() {
    let Some(folder) = over("eventhub-capture", Format::Avro) else {
        return;
    };
    let read = folder.read();
    assert_eq!((read.rows(), read.rejects.len()), (20, 0));
    let names: Vec<_> = read.batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(&names[..6], ["SequenceNumber", "Offset", "EnqueuedTimeUtc", "SystemProperties", "Properties", "Body"]);
    let first = &read.table()[0];
    assert_eq!(first[2], "12/9/2022 5:10:16 PM");
    assert!(first[3].contains("x-opt-partition-key: d8b14c3c-fcfa-4bf4-d034-be8c3f3ecab5"), "{}", first[3]);
    let kinds = read.batches[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect::<String>();
    assert!(!kinds.contains("Union"), "no table holds a union: {kinds}");
    let body = read.batches[0].column(5).as_binary::<i32>().value(0);
    assert!(body.starts_with(b"{"), "{}", String::from_utf8_lossy(body));
}

#[test]
fn app_events() {
    let Some(folder) = over("app-events", Format::JsonLines { encoding: Encoding::Utf8 }) else {
        return;
    };
    let read = folder.read();
    assert_eq!((read.rows(), read.rejects.len()), (10_000, 0));
    let columns = &[
        ("timestamp", "timestamp"),
        ("user_id", "int64"),
        ("event_type", "string"),
        ("ip_address", "string"),
        ("user_agent", "string"),
        ("details", "string"),
    ];
    let read = folder.columns(columns).read();
    assert_eq!((read.rows(), read.rejects.len()), (10_000, 0));
    assert_eq!(read.table()[0][5], "{\"product_id\": 941, \"url\": \"/product/941\"}");
}

#[test]
fn drifted_users() {
    let Some(mut folder) = over("french-c2c", Format::Csv(csv())) else {
        return;
    };
    folder.spec.glob = vec!["*users*.csv".to_owned()];
    let columns = &[
        ("identifierHash", "int64"),
        ("country", "string"),
        ("hasAnyApp", "bool"),
        ("hasProfilePicture", "bool"),
        ("seniorityAsMonths", "decimal(10,2)"),
        ("daysSinceLastLogin", "int32"),
    ];
    let read = folder.columns(columns).read();
    assert_eq!(read.bad(), []);
    let rows = |lane: &str| read.places().iter().filter(|(name, _)| name == lane).count();
    assert_eq!(rows("6M-0K-99K.users.dataset.public.csv"), 98_913);
    assert_eq!(rows("users.6M0xxK.2024.public.csv"), 20_743);
    let last = read.batches.last().unwrap().schema();
    assert!(last.field_with_name("hasAnyApp").is_err(), "a missing column is absent");
    assert!(last.field_with_name("websiteLongevity").is_ok(), "a new one follows");
}

#[test]
fn a_year_of_retail_invoices() {
    let Some(folder) = over("online-retail", Format::Csv(csv())) else {
        return;
    };
    let read = folder
        .columns(&[
            ("InvoiceNo", "string"),
            ("StockCode", "string"),
            ("Description", "string"),
            ("Quantity", "int32"),
            ("InvoiceDate", "timestamp"),
            ("UnitPrice", "decimal(10,3)"),
            ("CustomerID", "decimal(10,0)"),
            ("Country", "string"),
        ])
        .read();
    assert_eq!(read.bad(), []);
    assert_eq!((read.rows(), read.finished.len()), (541_909, 305));
    let nulls: usize = read.batches.iter().map(|rows| rows.column(6).null_count()).sum();
    assert_eq!(nulls, 135_080);
}

#[test]
fn quoted_and_marked_olist_tables() {
    let Some(folder) = over("olist-tables", Format::Csv(csv())) else {
        return;
    };
    let mut found = Vec::new();
    for (name, rows) in [
        ("olist_order_payments_dataset.csv", 103_886),
        ("olist_products_dataset.csv", 32_951),
        ("olist_sellers_dataset.csv", 3_095),
        ("product_category_name_translation.csv", 71),
    ] {
        let mut one = Folder::csv();
        one.spec.path = folder.spec.path.clone();
        one.spec.glob = vec![name.to_owned()];
        let read = one.read();
        assert_eq!((read.rows(), read.rejects.len()), (rows, 0), "{name}");
        found.push(read.batches[0].schema().field(0).name().clone());
    }
    assert_eq!(found, ["order_id", "product_id", "seller_id", "product_category_name"]);
}
