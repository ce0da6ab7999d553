//! The resources that this process has used.

use std::io;
use std::mem::MaybeUninit;

/// The resources used so far by all threads of this process, without children.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Processor time in user and kernel, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that was resident at once, in bytes.
    pub peak_memory_bytes: u64,
}

/// Asks the operating system.
///
/// # Errors
/// The system does not provide it, as in a container without `/proc`.
pub fn usage() -> io::Result<Usage> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes to the one struct that it is given and keeps no pointer to it.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the struct is filled; it is plain integers, and was zeroed before.
    let usage = unsafe { usage.assume_init() };
    let cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    Ok(Usage { cpu_seconds, peak_memory_bytes: peak_memory(usage.ru_maxrss)? })
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// `ru_maxrss` outlives `exec`: under a large parent it is the parent's. Linux keeps the
/// process's own peak beside it.
#[cfg(target_os = "linux")]
fn peak_memory(_max_rss: libc::c_long) -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let kibibytes: u64 =
        peak.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/status has no VmHWM line"))?;
    Ok(kibibytes * 1_024)
}

/// Bytes on macOS, kibibytes on the others.
#[cfg(not(target_os = "linux"))]
fn peak_memory(max_rss: libc::c_long) -> io::Result<u64> {
    let unit = if cfg!(target_os = "macos") { 1 } else { 1_024 };
    Ok(u64::from(max_rss.unsigned_abs()) * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_follows_what_was_touched() {
        let before = usage().expect("the system says");
        let size = 64 << 20;
        let touched = std::hint::black_box(vec![1_u8; size]);
        let after = usage().expect("the system says");
        assert!(after.peak_memory_bytes >= size as u64, "{after:?}");
        assert!(after.peak_memory_bytes >= before.peak_memory_bytes);
        assert!(after.cpu_seconds >= before.cpu_seconds);
        drop(touched);
    }
}
