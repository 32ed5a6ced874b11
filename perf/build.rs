//! Tells the program by which compiler, for what and how it was built.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    println!("cargo:rustc-env=MAINSPRING_RUSTC={}", version.as_deref().unwrap_or("unknown").trim());
    for (name, source) in [("MAINSPRING_TARGET", "TARGET"), ("MAINSPRING_PROFILE", "PROFILE")] {
        println!("cargo:rustc-env={name}={}", env::var(source).unwrap_or_default());
    }
    println!("cargo:rustc-env=MAINSPRING_BUILD_SETTINGS={}", settings());
}

/// What came from the environment and makes other code: counts of instructions are compared only where it is the same.
fn settings() -> String {
    let mut settings = Vec::new();
    for name in SETTINGS {
        println!("cargo:rerun-if-env-changed={name}");
        // The flags reach a build script with a separator that cannot be printed.
        let value = env::var(name).unwrap_or_default().replace('\u{1f}', " ");
        if !value.is_empty() {
            settings.push(format!("{name}={value}"));
        }
    }
    settings.join(", ")
}

const SETTINGS: [&str; 5] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS",
    "CARGO_PROFILE_RELEASE_LTO",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL",
    "CARGO_PROFILE_RELEASE_PANIC",
];
