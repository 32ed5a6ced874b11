//! Which C library this program runs with.

/// Its name and version, such as `glibc 2.36`; only `unknown` where it cannot be asked.
pub fn version() -> String {
    ask().unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(target_env = "gnu")]
fn ask() -> Option<String> {
    // SAFETY: the function returns a pointer to a constant string of the library that is never freed.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    Some(format!("glibc {}", version.to_str().ok()?))
}

#[cfg(not(target_env = "gnu"))]
fn ask() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_a_number_where_it_is_known() {
        let version = version();
        let number = version.strip_prefix("glibc ").map_or("0", |number| number);
        assert!(number.starts_with(|first: char| first.is_ascii_digit()), "{version}");
    }
}
