//! The numbers of one column: the narrowest type that gives every one of them back.

use arrow_schema::DataType;

use crate::exact::{self, Literal};

/// Digits of a decimal at most.
const DIGITS: usize = 38;

/// Digits of a decimal that 64 bits hold, and how many of these are to be left for larger values.
const SHORT_DIGITS: usize = 18;
const SPARE_DIGITS: usize = 4;

/// Why a type is not the column's: the first text that it would not give back.
#[derive(Clone, Debug)]
pub(super) struct Against {
    /// How many values came before it.
    pub(super) after: u64,
    pub(super) text: String,
    pub(super) place: String,
}

/// The numbers of a column, as they are written.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Those without a point.
    wholes: u64,
    /// Those with one.
    fractions: u64,
    /// The first that is beyond 64 bits.
    long: Option<Against>,
    /// The first that has an exponent, or is `NaN` or infinite.
    special: Option<Against>,
    /// The first that a floating-point number would not give back.
    rounded: Option<Against>,
    /// The first with another number of digits behind the point than those before.
    uneven: Option<Against>,
    /// The most digits before the point, and those behind it.
    digits: usize,
    scale: usize,
}

impl Numbers {
    /// Takes a text; `false` if it is no number, or one that no type of numbers gives back.
    #[inline]
    pub(super) fn add(&mut self, text: &[u8], against: &dyn Fn() -> Against) -> bool {
        if text.len() <= 18 && exact::integer(text).is_some() {
            self.wholes += 1;
            self.digits = self.digits.max(text.len() - usize::from(text[0] == b'-'));
            if text.len() > 15 {
                self.check_float(Literal::of(text), against);
            }
            return true;
        }
        self.add_with_care(text, against)
    }

    fn add_with_care(&mut self, text: &[u8], against: &dyn Fn() -> Against) -> bool {
        let literal = Literal::of(text);
        match literal {
            None => return false,
            Some(Literal::Word) => {
                self.special.get_or_insert_with(against);
            }
            Some(Literal::Number(written)) => {
                self.digits = self.digits.max(written.whole.len());
                if written.exponent.is_some() {
                    self.special.get_or_insert_with(against);
                    self.fractions += 1;
                } else if let Some(decimals) = written.decimals {
                    if self.fractions > 0 && self.scale != decimals.len() {
                        self.uneven.get_or_insert_with(against);
                    }
                    self.fractions += 1;
                    self.scale = self.scale.max(decimals.len());
                } else {
                    self.wholes += 1;
                    if exact::integer(text).is_none() {
                        self.long.get_or_insert_with(against);
                    }
                }
            }
        }
        self.check_float(literal, against);
        true
    }

    fn check_float(&mut self, literal: Option<Literal<'_>>, against: &dyn Fn() -> Against) {
        if self.rounded.is_none() && !literal.is_some_and(Literal::is_float) {
            self.rounded = Some(against());
        }
    }

    /// The narrowest type of numbers that gives all of them back, or text.
    ///
    /// Without points: whole numbers of 64 bits, else decimals without a fraction. With points: decimals where every
    /// number has the same two or more digits behind the point; else doubles, if these give all numbers back; else
    /// decimals, if all numbers have the same digits behind the point or none.
    pub(super) fn kind(&self) -> DataType {
        let decimal = |scale: usize| {
            let digits = self.digits + scale;
            match i8::try_from(scale) {
                Ok(scale) if scale > 0 && digits + SPARE_DIGITS <= SHORT_DIGITS => {
                    DataType::Decimal128(SHORT_DIGITS as u8, scale)
                }
                Ok(scale) if digits <= DIGITS => DataType::Decimal128(DIGITS as u8, scale),
                _ => DataType::Utf8,
            }
        };
        let even = self.special.is_none() && self.uneven.is_none();
        match (self.wholes, self.fractions) {
            (0, 0) => DataType::Utf8,
            (_, 0) if self.special.is_none() => match self.long {
                None => DataType::Int64,
                Some(_) => decimal(0),
            },
            (0, _) if even && self.scale >= 2 => decimal(self.scale),
            _ if self.rounded.is_none() => DataType::Float64,
            _ if even => decimal(self.scale),
            _ => DataType::Utf8,
        }
    }

    /// Why they are not of a narrower type.
    pub(super) fn against(&self, kind: &DataType) -> Vec<String> {
        let mut told = Vec::new();
        match kind {
            DataType::Decimal128(_, 0) => {
                told.extend(
                    self.long
                        .as_ref()
                        .map(|long| format!("not int64: `{}` ({}) is beyond 64 bits", long.text, long.place)),
                );
            }
            DataType::Decimal128(_, scale) => {
                let even = self.wholes == 0 && self.uneven.is_none();
                told.push(match self.rounded.as_ref().filter(|_| !even) {
                    Some(rounded) => {
                        format!("not float64: `{}` ({}) would not come back from it", rounded.text, rounded.place)
                    }
                    None => format!("every value has {scale} digits behind the point"),
                });
            }
            DataType::Float64 => {
                let why = self.uneven.as_ref().map(|uneven| {
                    format!("`{}` ({}) has another number of digits behind the point", uneven.text, uneven.place)
                });
                let special = self.special.as_ref();
                let why =
                    why.or_else(|| special.map(|special| format!("`{}` ({}) is none", special.text, special.place)));
                told.extend(why.map(|why| format!("not a decimal: {why}")));
            }
            DataType::Utf8 => {
                let places = [(&self.rounded, "float64"), (&self.uneven, "a decimal"), (&self.special, "a decimal")];
                for (against, kind) in places {
                    told.extend(against.as_ref().map(|against| {
                        format!("not {kind}: `{}` ({}) would not come back from it", against.text, against.place)
                    }));
                }
                if told.is_empty() {
                    told.push(format!("not a decimal: its numbers have more than {DIGITS} digits"));
                }
            }
            _ => {}
        }
        told
    }
}
