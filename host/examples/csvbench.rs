use arrow_schema::*;
use sluicebox::format::{self, FileSpec, Input, Meter};
use sluicebox::plan::*;
use std::io::{BufReader, Write};
use std::sync::Arc;
use std::time::Instant;
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
fn main() {
    let path = "/root/tgt/orders5m.csv";
    let n: u64 = 5_000_000;
    if !std::path::Path::new(path).exists() {
        let mut w = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
        writeln!(w, "order_id,customer_id,product_id,category,state,quantity,price,ts").unwrap();
        let mut s: u64 = 42;
        let cats = ["Electronics", "Books", "Clothing", "Home Decor", "Toys", "Beauty"];
        let st = ["NY", "CA", "IL", "TX", "AZ", "WA", "FL"];
        for i in 0..n {
            let mut r = || {
                s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                s >> 33
            };
            let t = 1_700_000_000 + (i / 50) as i64;
            let d = chrono::DateTime::from_timestamp(t, ((i % 50) * 20_000_000) as u32).unwrap();
            writeln!(
                w,
                "{},{},P{:04},{},{},{},{}.{:02},{}",
                i,
                r() % 100000,
                r() % 5000,
                cats[(r() % 6) as usize],
                st[(r() % 7) as usize],
                r() % 9,
                r() % 500,
                r() % 100,
                d.format("%Y-%m-%dT%H:%M:%S%.3fZ")
            )
            .unwrap();
        }
    }
    let ts = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("order_id", DataType::Int64, true),
        Field::new("customer_id", DataType::Int32, true),
        Field::new("product_id", DataType::Utf8, true),
        Field::new("category", DataType::Utf8, true),
        Field::new("state", DataType::Utf8, true),
        Field::new("quantity", DataType::Int32, true),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("ts", ts, true),
    ]));
    let f =
        Format::Csv(CsvFormat { delimiter: b',', quote: b'"', header: true, nulls: vec![], encoding: Encoding::Utf8 });
    for _ in 0..3 {
        let c = cpu();
        let t = Instant::now();
        let rd = arrow_csv::ReaderBuilder::new(schema.clone())
            .with_header(true)
            .with_batch_size(8192)
            .build_buffered(BufReader::with_capacity(1 << 20, std::fs::File::open(path).unwrap()))
            .unwrap();
        let rows: usize = rd.map(|b| b.unwrap().num_rows()).sum();
        println!(
            "arrow-csv {rows} rows cpu {:.1} ns/row wall {:.2}",
            (cpu() - c) * 1e9 / rows as f64,
            t.elapsed().as_secs_f64()
        );
        let c = cpu();
        let t = Instant::now();
        let mut r = format::open(
            &Input::Local(path.into()),
            &FileSpec { format: &f, compression: Compression::Auto, columns: Some(&schema), skip: 0 },
            &Meter::default(),
        )
        .unwrap();
        let (mut rows, mut batches) = (0, 0);
        while let Some(d) = r.next().unwrap() {
            rows += d.rows.num_rows();
            batches += 1;
            assert!(d.bad.is_empty());
        }
        println!(
            "ours      {rows} rows cpu {:.1} ns/row wall {:.2} batches {batches}",
            (cpu() - c) * 1e9 / rows as f64,
            t.elapsed().as_secs_f64()
        );
        let c = cpu();
        let t = Instant::now();
        let mut r = format::open(
            &Input::Local(path.into()),
            &FileSpec { format: &f, compression: Compression::Auto, columns: Some(&schema), skip: 5_000_000 - 1 },
            &Meter::default(),
        )
        .unwrap();
        let mut k = 0;
        while let Some(d) = r.next().unwrap() {
            k += d.rows.num_rows();
        }
        println!(
            "skip      {k} rows cpu {:.1} ns/row wall {:.2}",
            (cpu() - c) * 1e9 / rows as f64,
            t.elapsed().as_secs_f64()
        );
        // 2 % bad rows, and JSON
        let bad = "/root/tgt/orders5m_bad.csv";
        let js = "/root/tgt/orders1m.jsonl";
        let jsbad = "/root/tgt/orders1m_bad.jsonl";
        let jsx = "/root/tgt/orders1m_x.jsonl";
        if !std::path::Path::new(bad).exists() {
            let text = std::fs::read_to_string(path).unwrap();
            let mut w = std::io::BufWriter::new(std::fs::File::create(bad).unwrap());
            for (i, l) in text.lines().enumerate() {
                if i % 50 == 49 { writeln!(w, "x{l}").unwrap() } else { writeln!(w, "{l}").unwrap() }
            }
            let mut w = std::io::BufWriter::new(std::fs::File::create(js).unwrap());
            let mut v = std::io::BufWriter::new(std::fs::File::create(jsbad).unwrap());
            let mut x = std::io::BufWriter::new(std::fs::File::create(jsx).unwrap());
            for (i, l) in text.lines().skip(1).take(1_000_000).enumerate() {
                let f: Vec<&str> = l.split(',').collect();
                let o = format!(
                    "{{\"order_id\":{},\"customer_id\":{},\"product_id\":\"{}\",\"category\":\"{}\",\"state\":\"{}\",\"quantity\":{},\"price\":{},\"ts\":\"{}\"}}",
                    f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]
                );
                writeln!(w, "{o}").unwrap();
                if i % 50 == 49 {
                    writeln!(v, "{}", o.replace("\"quantity\":", "\"quantity\":x")).unwrap()
                } else {
                    writeln!(v, "{o}").unwrap()
                }
                writeln!(x, "{}", o.replace("}", ",\"extra\":{\"a\":1}}")).unwrap();
            }
        }
        let j = Format::JsonLines { encoding: Encoding::Utf8 };
        for (name, file, f) in
            [("csv 2% bad", bad, &f), ("json", js, &j), ("json 2% bad", jsbad, &j), ("json extra", jsx, &j)]
        {
            let c = cpu();
            let mut r = format::open(
                &Input::Local(file.into()),
                &FileSpec { format: f, compression: Compression::Auto, columns: Some(&schema), skip: 0 },
                &Meter::default(),
            )
            .unwrap();
            let (mut rows, mut bad) = (0, 0);
            while let Some(d) = r.next().unwrap() {
                rows += d.rows.num_rows();
                bad += d.bad.len();
            }
            println!("{name} {rows} rows {bad} bad cpu {:.1} ns/row", (cpu() - c) * 1e9 / (rows + bad) as f64);
        }
        let c = cpu();
        let rd = arrow_json::ReaderBuilder::new(schema.clone())
            .with_batch_size(8192)
            .build(BufReader::with_capacity(1 << 20, std::fs::File::open(js).unwrap()))
            .unwrap();
        let n: usize = rd.map(|b| b.unwrap().num_rows()).sum();
        println!("arrow-json {n} cpu {:.1}", (cpu() - c) * 1e9 / n as f64);
        let c = cpu();
        let mut fl = std::fs::File::open(path).unwrap();
        let mut b = vec![0u8; 1 << 20];
        use std::io::Read;
        while fl.read(&mut b).unwrap() > 0 {}
        println!("read only cpu {:.1}", (cpu() - c) * 1e9 / rows as f64);
    }
}
