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
}
