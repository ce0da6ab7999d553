//! Chosen columns of a table, under new names.

use serde::Deserialize;
use sluicebox_sdk::arrow_schema::{DataType, Field};
use sluicebox_sdk::prelude::*;

/// Passes on the columns that its configuration names, each under a new name if it gives
/// one: `columns = [{ name = "customer_key", from = "customer_id", type = "string" }]`.
///
/// With `where = "is_sale"` it passes on only the rows in which that column is true.
pub struct Select {
    from: Vec<String>,
    filter: Option<String>,
}

/// What to select.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    columns: Vec<Selected>,
    /// A column of truth values; rows in which it is false or null are left out.
    r#where: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selected {
    name: String,
    /// The upstream's name, where it is another.
    from: Option<String>,
    r#type: String,
    /// A required column may neither be missing nor hold a null.
    #[serde(default)]
    required: bool,
}

impl Selected {
    fn from(&self) -> &str {
        self.from.as_deref().unwrap_or(&self.name)
    }

    fn field(&self, name: &str) -> Result<Field> {
        Ok(field(name, &self.r#type)?.with_nullable(!self.required))
    }
}

fn field(name: &str, kind: &str) -> Result<Field> {
    Ok(match kind {
        "string" => utf8(name),
        "binary" => binary(name),
        "bool" => boolean(name),
        "int32" => int32(name),
        "int64" => int64(name),
        "float64" => float64(name),
        "date" => date(name),
        "timestamp" => timestamp(name),
        other => {
            let digits = other.strip_prefix("decimal(").and_then(|digits| digits.strip_suffix(')'));
            let (precision, scale) = digits.and_then(|digits| digits.split_once(',')).unzip();
            let precision = precision.and_then(|digits| digits.trim().parse().ok());
            let scale = scale.and_then(|digits| digits.trim().parse().ok());
            match (precision, scale) {
                (Some(precision @ 1..=38), Some(scale)) if (0..=precision as i8).contains(&scale) => {
                    decimal(name, precision, scale)
                }
                _ => {
                    return Err(Failure::config(format!(
                        "column {name:?} has the unknown type {other:?}; types are string, binary, bool, int32, \
                         int64, float64, date, timestamp, decimal(p,s)"
                    )));
                }
            }
        }
    })
}

impl Transform for Select {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        if config.columns.is_empty() {
            return Err(Failure::config("`columns` names none"));
        }
        let mut read: Vec<Field> = Vec::new();
        for column in &config.columns {
            let field = column.field(column.from())?;
            match read.iter().find(|other| other.name() == field.name()) {
                None => read.push(field),
                Some(other) if *other == field => {}
                Some(_) => {
                    let from = column.from();
                    return Err(Failure::config(format!("column {from:?} is selected with two types")));
                }
            }
        }
        if let Some(filter) = &config.r#where {
            match read.iter().find(|field| field.name() == filter) {
                None => read.push(boolean(filter)),
                Some(field) if *field.data_type() == DataType::Boolean => {}
                Some(_) => return Err(Failure::config(format!("`where` names {filter:?}, which is no bool"))),
            }
        }
        let made = config.columns.iter().map(|column| column.field(&column.name)).collect::<Result<Vec<_>>>()?;
        let select = Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", read)
            .output("selected", made);
        Ok(if config.r#where.is_none() { select.row_preserving() } else { select })
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        let from = config.columns.iter().map(|column| column.from().to_owned()).collect();
        Ok(Self { from, filter: config.r#where })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let kept = match &self.filter {
            Some(filter) => {
                let good = rows.bool(filter)?;
                Kept::filter(rows, |row| good.get(row) == Some(true))
            }
            None => Kept::all(rows),
        };
        let columns = self.from.iter().map(|from| kept.of_column(rows.column(from)?));
        out.emit("selected", columns.collect::<Result<_>>()?)
    }
}

sluicebox_sdk::export!(Select);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_renamed_and_the_rest_is_left() {
        let config = r#"{"columns": [
            {"name": "product_key", "from": "product_id", "type": "string", "required": true},
            {"name": "product_id", "type": "string", "required": true},
            {"name": "unit_price", "from": "price", "type": "decimal(10, 2)"}
        ]}"#;
        let mut harness = Harness::<Select>::open(config).unwrap();
        let rows = r#"{"product_id": "1", "price": 2.50, "stock": 9}"#;
        let recorded = harness.push_json("rows", rows).unwrap();
        assert_eq!(recorded.json("selected"), [r#"{"product_key":"1","product_id":"1","unit_price":2.50}"#]);
    }

    #[test]
    fn only_rows_that_the_filter_says_are_passed_on() {
        let config = r#"{"where": "is_sale", "columns": [{"name": "id", "type": "int64", "required": true}]}"#;
        let mut harness = Harness::<Select>::open(config).unwrap();
        let rows = r#"
            {"id": 1, "is_sale": true}
            {"id": 2, "is_sale": false}
            {"id": 3}
            {"id": 4, "is_sale": true}
        "#;
        let recorded = harness.push_json("rows", rows).unwrap();
        assert_eq!(recorded.json("selected"), [r#"{"id":1}"#, r#"{"id":4}"#]);
        assert!(recorded.rejected().is_empty(), "what a filter leaves out is not wrong");
    }

    #[test]
    fn a_filter_is_a_truth_value() {
        let config = r#"{"where": "id", "columns": [{"name": "id", "type": "int64"}]}"#;
        let error = Harness::<Select>::open(config).err().unwrap();
        assert!(error.to_string().contains("no bool"), "{error}");
    }

    #[test]
    fn a_wrong_type_is_named() {
        for kind in ["text", "decimal(39,2)", "decimal(5,6)", "decimal(5)", "decimal(5,-1)"] {
            let config = format!(r#"{{"columns": [{{"name": "a", "type": "{kind}"}}]}}"#);
            let error = Harness::<Select>::open(&config).err().unwrap();
            assert!(error.to_string().contains(kind), "{error}");
        }
    }
}
