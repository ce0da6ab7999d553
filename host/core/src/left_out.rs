//! What a source saw and did not take.

/// Names that are kept; the others are only counted.
const NAMED: usize = 100;

/// Files that a source was asked for and left out, each with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    count: u64,
    named: Vec<(String, String)>,
}

impl LeftOut {
    /// Counts a file, by its name in the source's folder.
    pub fn add(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push((name.into(), why.into()));
        }
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, each with why it was left out.
    pub fn named(&self) -> &[(String, String)] {
        &self.named
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes back those that turned out to be taken under another name.
    pub fn retain(&mut self, mut is: impl FnMut(&str) -> bool) {
        let before = self.named.len();
        self.named.retain(|(name, _)| is(name));
        self.count -= (before - self.named.len()) as u64;
    }
}
