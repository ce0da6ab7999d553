//! Tables of text as others write them, made by chance: codes, amounts, long numbers, days, words, quotes.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use sluicebox_core::plan::CsvFormat;

/// A field as it is written.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Whether it stands in quotes.
    pub quoted: bool,
}

/// A table of text.
pub struct Table {
    pub format: CsvFormat,
    pub names: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    line_end: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Whole,
    Long,
    Code,
    Amount,
    Measure,
    Version,
    Scientific,
    Day,
    Instant,
    Truth,
    Word,
    Text,
    Nothing,
}

const CONTENTS: [Content; 13] = [
    Content::Whole,
    Content::Long,
    Content::Code,
    Content::Amount,
    Content::Measure,
    Content::Version,
    Content::Scientific,
    Content::Day,
    Content::Instant,
    Content::Truth,
    Content::Word,
    Content::Text,
    Content::Nothing,
];

impl Content {
    fn text(self, random: &mut ChaCha8Rng) -> String {
        let sign = |random: &mut ChaCha8Rng| if random.random_bool(0.2) { "-" } else { "" };
        match self {
            Self::Whole => format!("{}{}", sign(random), random.random_range(0..1_000_000)),
            Self::Long => {
                let digits = random.random_range(15..42);
                (0..digits).map(|at| char::from(b'0' + random.random_range(u8::from(at == 0)..10))).collect()
            }
            Self::Code => {
                let number = random.random_range(0..10_000);
                match random.random_range(0..5) {
                    0 => format!("{number:05}"),
                    1 => format!("+{number}"),
                    2 => format!("{number}E{}", random.random_range(0..400)),
                    3 => format!("{number}-{number}"),
                    _ => number.to_string(),
                }
            }
            Self::Amount => {
                format!("{}{}.{:02}", sign(random), random.random_range(0..100_000), random.random_range(0..100))
            }
            Self::Measure => format!("{}", random.random::<f64>() * f64::from(random.random_range(1..100_000_u32))),
            Self::Version => format!("{}.{}", random.random_range(1..4), random.random_range(0..30)),
            Self::Scientific => format!("{:e}", random.random::<f64>() * 1e-5),
            Self::Day => format!(
                "{}-{:02}-{:02}",
                random.random_range(1970..2030),
                random.random_range(1..13),
                random.random_range(1..29)
            ),
            Self::Instant => {
                let time = format!(
                    "{:02}:{:02}:{:02}",
                    random.random_range(0..24),
                    random.random_range(0..60),
                    random.random_range(0..60)
                );
                format!("{} {time}", Self::Day.text(random))
            }
            Self::Truth => (*["true", "false", "True", "FALSE"].choose(random).expect("there are some")).to_owned(),
            Self::Word => {
                (*["red", "green", "NaN", "null", "N/A", "inf", "blue sky"].choose(random).expect("there are some"))
                    .to_owned()
            }
            Self::Text => {
                let parts = ["a", "é", ",", ";", "\"", "\n", " ", "'", "b c", "\\", "#", "\r\n", "🙂"];
                (0..random.random_range(0..6)).map(|_| *parts.choose(random).expect("there are some")).collect()
            }
            Self::Nothing => String::new(),
        }
    }
}

impl Table {
    /// A table by chance.
    pub fn new(random: &mut ChaCha8Rng) -> Self {
        let format = CsvFormat {
            delimiter: Some(*[b',', b';', b'\t', b'|'].choose(random).expect("there are some")),
            quote: if random.random_bool(0.8) { b'"' } else { b'\'' },
            escape: random.random_bool(0.2).then_some(b'\\'),
            ..CsvFormat::default()
        };
        let width = random.random_range(1..8);
        let contents: Vec<Content> = (0..width).map(|_| *CONTENTS.choose(random).expect("there are some")).collect();
        let odd = if random.random_bool(0.5) { 0.0 } else { 0.03 };
        let rows = (0..random.random_range(0..60))
            .map(|_| {
                let cell = |content: &Content| {
                    let other = random.random_bool(odd);
                    let content = if other { *CONTENTS.choose(random).expect("there are some") } else { *content };
                    let text = if random.random_bool(0.08) { String::new() } else { content.text(random) };
                    Cell { text, quoted: random.random_bool(0.1) }
                };
                contents.iter().map(cell).collect()
            })
            .collect();
        let line_end = if random.random_bool(0.7) { "\n" } else { "\r\n" };
        let mut table = Self { format, names: (0..width).map(|at| format!("c{at}")).collect(), rows, line_end };
        table.quote();
        table
    }

    /// Puts what needs it in quotes.
    fn quote(&mut self) {
        let special = [self.format.delimiter.unwrap_or(b','), self.format.quote, b'\n', b'\r'];
        for cell in self.rows.iter_mut().flatten() {
            cell.quoted |= cell.text.bytes().any(|byte| special.contains(&byte));
        }
    }

    /// The header's line.
    pub fn header(&self) -> String {
        self.names.join(&self.delimiter()) + self.line_end
    }

    /// A record as it is written, without its line end.
    pub fn record(&self, row: &[Cell]) -> String {
        let quote = char::from(self.format.quote).to_string();
        let fields: Vec<String> = row
            .iter()
            .map(|cell| {
                let mut text = cell.text.clone();
                if let Some(escape) = self.format.escape.map(char::from) {
                    // An escape stands for itself before most characters, and so at the end of a field it does not.
                    text = text.replace(escape, &format!("{escape}{escape}"));
                    text = text.replace(&quote, &format!("{escape}{quote}"));
                } else if cell.quoted {
                    text = text.replace(&quote, &format!("{quote}{quote}"));
                }
                if cell.quoted { format!("{quote}{text}{quote}") } else { text }
            })
            .collect();
        fields.join(&self.delimiter())
    }

    /// The file with some of its rows.
    pub fn file(&self, rows: &[Vec<Cell>]) -> String {
        let records: String = rows.iter().map(|row| self.record(row) + self.line_end).collect();
        self.header() + &records
    }

    /// Its delimiter.
    pub fn delimiter(&self) -> String {
        char::from(self.format.delimiter.unwrap_or(b',')).to_string()
    }
}

/// A number's sign, digits from the first to the last that is not zero, and power of ten; so that two are the same
/// where the numbers are.
pub fn number(text: &str) -> Option<(bool, String, i64)> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let rest = rest.strip_prefix('+').unwrap_or(rest);
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{decimals}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let power = exponent.parse::<i64>().ok()? - decimals.len() as i64;
    let kept = digits.trim_start_matches('0');
    let short = kept.trim_end_matches('0');
    let power = if short.is_empty() { 0 } else { power + (kept.len() - short.len()) as i64 };
    Some((negative && !short.is_empty(), short.to_owned(), power))
}
