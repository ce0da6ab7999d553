//! How many files this process may have open.

use std::fs;
use std::sync::OnceLock;

/// Data files that one writer of partitions has open at most; an open one costs a handle and its footer.
const MOST: usize = 128;
/// Where the system does not say what it allows.
const UNKNOWN: usize = 32;
/// One in so many of the files that are allowed: several tables may be written at a time, and sources, logs and
/// the runtime want files, too.
const SHARE: usize = 8;

/// How many data files one writer of partitions may have open.
pub(super) fn open_files() -> usize {
    static OPEN_FILES: OnceLock<usize> = OnceLock::new();
    *OPEN_FILES.get_or_init(|| match fs::read_to_string("/proc/self/limits") {
        Ok(limits) => share_of(&limits),
        Err(_) => UNKNOWN,
    })
}

/// The share of what the kernel's table of limits says.
fn share_of(limits: &str) -> usize {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => MOST,
        Some(soft) => soft.parse().map_or(UNKNOWN, |soft: usize| (soft / SHARE).clamp(4, MOST)),
        None => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_shared() {
        let line = |soft: &str| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax open files            {soft}   4096   files\n")
        };
        assert_eq!(share_of(&line("256")), 32);
        assert_eq!(share_of(&line("1024")), MOST);
        assert_eq!(share_of(&line("unlimited")), MOST);
        assert_eq!(share_of(&line("8")), 4);
        assert_eq!(share_of(""), UNKNOWN);
    }
}
