//! How much memory the process has.

/// Bytes of this process that are in memory, as the kernel counts them; 0 where it does not say.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse(&status).unwrap_or(0)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_kernel_is_read() {
        assert_eq!(parse("Name:\tshadows\nVmRSS:\t    2048 kB\nThreads: 3\n"), Some(2 << 20));
        assert_eq!(parse("Name:\tshadows\n"), None);
        assert!(resident_bytes() > 0, "this process has some");
    }
}
