//! Changes of an upstream table of which some rows are refused: what is left is right, and stays right when the
//! refused ones come back.

use std::fs;

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};

use crate::harness::{Lake, sluice, text};

/// What lands and is kept by key; each test hangs something below it.
const ABOVE: &str = r#"
[pipeline]
name = "refused"

[sources.s]
type = "files"
path = "drop"
format = "csv"
COLUMNS

[tables.silver.t]
mode = "upsert"
key = ["id"]

[hops.land]
from = "s"
to = "bronze.t"

[hops.keep]
from = "bronze.t"
to = "silver.t"
"#;

struct Example {
    folder: Lake,
}

impl Example {
    fn new() -> Self {
        let example = Self { folder: Lake::new() };
        fs::create_dir(example.folder.path().join("drop")).expect("a temporary folder is writable");
        example
    }

    /// Says what hangs below, from now on.
    fn below(&self, columns: &str, below: &str) {
        let pipeline = ABOVE.replace("COLUMNS", columns) + below;
        fs::write(self.folder.path().join("p.toml"), pipeline).expect("a temporary folder is writable");
    }

    fn run(&self) {
        sluice::run_in(self.folder.path(), &["run", "p.toml", "--lake", "lake"]).ok();
    }

    fn land(&self, name: &str, lines: &str) {
        fs::write(self.folder.path().join("drop").join(name), lines).expect("a temporary folder is writable");
        self.run();
    }

    fn retry(&self, hop: &str) {
        sluice::run_in(self.folder.path(), &["quarantine", "retry", hop, "p.toml", "--lake", "lake"]).ok();
    }

    /// The first three columns of a table's rows as text, sorted.
    fn rows(&self, layer: Layer, table: &str) -> Vec<String> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let lake = sluicebox_lake::Lake::open(text(&self.folder.path().join("lake"))).expect("a lake");
            let name = TableName { layer, name: table.to_owned() };
            let table = lake.table(&TableSpec::new(name, WriteMode::Append)).await.expect("a table");
            let batches: Vec<_> = table.scan(None).await.expect("a scan").try_collect().await.expect("rows");
            let options = FormatOptions::new();
            let mut lines = Vec::new();
            for rows in batches {
                let columns = rows.columns().iter();
                let columns: Vec<_> =
                    columns.map(|column| ArrayFormatter::try_new(column, &options).expect("printable")).collect();
                lines.extend((0..rows.num_rows()).map(|row| {
                    columns.iter().take(3).map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|")
                }));
            }
            lines.sort();
            lines
        })
    }

    fn waiting(&self, hop: &str) -> usize {
        let printed = sluice::run_in(self.folder.path(), &["quarantine", "show", hop, "--lake", "lake", "--json"]).ok();
        printed.stdout.lines().filter(|line| line.starts_with('{')).count()
    }
}

const IDS: &str = r#"columns = { id = "int64", g = "string", v = "int64" }"#;

fn sums(most: i64) -> String {
    format!(
        "[tables.gold.s]\nmode = \"accumulate\"\nkey = [\"g\"]\nsum = [\"v\"]\n\
         [[tables.gold.s.expect]]\ncolumn = \"v\"\nmax = {most}\n[hops.sum]\nfrom = \"silver.t\"\nto = \"gold.s\"\n"
    )
}

#[test]
fn sums_take_away_only_what_they_added() {
    let example = Example::new();
    example.below(IDS, &sums(50));
    example.land("a.csv", "id,g,v\n1,x,60\n2,x,10\n3,y,99\n");
    assert_eq!(example.rows(Layer::Gold, "s"), ["x|10|1"]);
    // Two rows that were refused get better, and one gets no better.
    example.land("b.csv", "id,g,v\n1,x,20\n3,y,98\n");
    assert_eq!(example.rows(Layer::Gold, "s"), ["x|30|2"]);
    example.land("c.csv", "id,g,v\n3,y,5\n");
    assert_eq!(example.rows(Layer::Gold, "s"), ["x|30|2", "y|5|1"]);
    example.below(IDS, &sums(500));
    example.retry("sum");
    assert_eq!((example.rows(Layer::Gold, "s"), example.waiting("sum")), (vec!["x|30|2".into(), "y|5|1".into()], 0));
}

fn mirror(drift: &str) -> String {
    format!(
        "[tables.silver.w]\nmode = \"upsert\"\nkey = [\"id\"]\ncontract = {{ new_column = \"{drift}\" }}\n\
         [hops.mirror]\nfrom = \"silver.t\"\nto = \"silver.w\"\n"
    )
}

#[test]
fn a_refused_row_that_its_upstream_took_back_does_not_come_back() {
    let example = Example::new();
    example.below("", &mirror("reject_row"));
    example.land("a.csv", "id,g,v\n1,x,60\n2,x,10\n");
    example.land("b.csv", "id,g,v,n\n1,x,20,5\n3,y,5,\n2,x,11,7\n");
    assert_eq!(example.rows(Layer::Silver, "w"), ["3|y|5"]);
    example.land("c.csv", "id,g,v,n\n1,x,21,\n");
    assert_eq!(example.rows(Layer::Silver, "w"), ["1|x|21", "3|y|5"]);
    example.below("", &mirror("evolve"));
    example.retry("mirror");
    let rows = example.rows(Layer::Silver, "w");
    assert_eq!((rows, example.waiting("mirror")), (vec!["1|x|21".into(), "2|x|11".into(), "3|y|5".into()], 0));
    example.retry("mirror");
    assert_eq!(example.rows(Layer::Silver, "w").len(), 3);
}

#[test]
fn an_ordered_table_follows_one_that_goes_back() {
    let ordered = "[tables.gold.u]\nmode = \"upsert\"\nkey = [\"id\"]\norder_by = \"v\"\n\
                   [hops.order]\nfrom = \"silver.t\"\nto = \"gold.u\"\n";
    let example = Example::new();
    example.below(IDS, ordered);
    example.land("a.csv", "id,g,v\n1,x,10\n2,x,10\n3,x,10\n");
    example.land("b.csv", "id,g,v\n1,y,5\n2,y,20\n");
    assert_eq!(example.rows(Layer::Gold, "u"), ["1|y|5", "2|y|20", "3|x|10"]);
    // As when all of it comes at once.
    let at_once = Example::new();
    at_once.below(IDS, ordered);
    fs::copy(example.folder.path().join("drop/a.csv"), at_once.folder.path().join("drop/a.csv")).expect("a copy");
    at_once.land("b.csv", "id,g,v\n1,y,5\n2,y,20\n");
    assert_eq!(at_once.rows(Layer::Gold, "u"), ["1|y|5", "2|y|20", "3|x|10"]);
}

#[test]
fn a_hop_runs_although_one_beside_it_fails() {
    let beside = "[tables.silver.strict]\n[[tables.silver.strict.expect]]\ncolumn = \"v\"\nmax = 5\notherwise = \"stop\"\n\
                  [hops.strict]\nfrom = \"bronze.t\"\nto = \"silver.strict\"\n\
                  [tables.gold.copy]\nmode = \"overwrite\"\n[hops.copy]\nfrom = \"silver.t\"\nto = \"gold.copy\"\n\
                  [tables.gold.below]\nmode = \"overwrite\"\n[hops.below]\nfrom = \"silver.strict\"\nto = \"gold.below\"\n";
    let example = Example::new();
    example.below(IDS, beside);
    fs::write(example.folder.path().join("drop/a.csv"), "id,g,v\n1,x,10\n").expect("a temporary folder is writable");
    let ended = sluice::run_in(example.folder.path(), &["run", "p.toml", "--lake", "lake"]).failed(1);
    assert_eq!(example.rows(Layer::Gold, "copy"), ["1|x|10"]);
    assert!(ended.stderr.contains("hop `below` did not run"), "{ended}");
    assert!(!ended.stderr.contains("hop `copy` did not run"), "{ended}");
}
