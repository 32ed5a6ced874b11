//! Pinning on this machine, and every conclusion of the preflight from made-up facts.

use super::*;

/// A machine on which cores can start.
fn good() -> Facts {
    Facts {
        ring_refused: None,
        switch: Some(0),
        group: None,
        filtered: false,
        release: "6.18.0".into(),
        locked_memory: Some(Limit { soft_bytes: Some(8 << 20), hard_bytes: Some(8 << 20) }),
    }
}

fn refused(error: i32) -> Facts {
    Facts { ring_refused: Some(error), ..good() }
}

/// The error's text, which must hold all the given parts.
fn text_with(facts: Facts, parts: &[&str]) {
    let text = conclude(&facts).unwrap_err().to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn a_pinned_thread_may_run_on_that_cpu_alone() {
    let cpu = allowed_cpus().unwrap().first().unwrap();
    std::thread::spawn(move || {
        pin_current_thread(cpu).unwrap();
        assert_eq!(allowed_cpus().unwrap(), CpuSet::from_iter([cpu]));
    })
    .join()
    .unwrap();
}

#[test]
fn a_cpu_that_does_not_exist_is_refused_and_the_thread_stays_where_it_was() {
    std::thread::spawn(|| {
        let before = allowed_cpus().unwrap();
        let last = PINNABLE_CPUS - 1;
        if std::path::Path::new(&format!("/sys/devices/system/cpu/cpu{last}")).exists() {
            println!("skipped: this machine has all CPUs that can be pinned to");
            return;
        }
        let error = pin_current_thread(last).unwrap_err();
        assert!(
            matches!(&error, PinError::Refused { allowed, .. } if *allowed == before),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("may run on {before}")), "{error}");
        let error = pin_current_thread(u32::MAX).unwrap_err();
        assert!(matches!(error, PinError::NumberTooLarge { cpu: u32::MAX }));
        assert_eq!(allowed_cpus().unwrap(), before);
    })
    .join()
    .unwrap();
}

#[test]
fn a_good_machine_passes() {
    assert_eq!(conclude(&good()), Ok(()));
    assert_eq!(conclude(&Facts { locked_memory: None, switch: None, ..good() }), Ok(()));
    let unlimited = Some(Limit { soft_bytes: None, hard_bytes: None });
    assert_eq!(conclude(&Facts { locked_memory: unlimited, ..good() }), Ok(()));
}

#[test]
fn this_machine_is_probed_and_what_is_found_agrees_with_a_ring_made_by_hand() {
    let ring = IoUring::new(PROBE_ENTRIES);
    let facts = Facts::probe(&SysRoot::real());
    assert_eq!(facts.ring_refused, ring.err().and_then(|error| error.raw_os_error()));
    assert_eq!(preflight(), conclude(&facts));
}

#[test]
fn a_machine_with_io_uring_switched_off_is_told_the_switch() {
    let facts = Facts { switch: Some(2), ..refused(libc::EPERM) };
    assert_eq!(conclude(&facts), Err(PreflightError::SwitchedOff));
    text_with(facts, &["kernel.io_uring_disabled = 2", "kernel.io_uring_disabled=0"]);
}

#[test]
fn a_machine_that_leaves_io_uring_to_a_group_is_told_which() {
    let facts = Facts { switch: Some(1), group: Some(989), ..refused(libc::EPERM) };
    assert_eq!(conclude(&facts), Err(PreflightError::OnlyPrivileged { group: Some(989) }));
    text_with(facts, &["kernel.io_uring_disabled = 1", "group 989", "kernel.io_uring_group=GID"]);
    let facts = Facts { switch: Some(1), ..refused(libc::EPERM) };
    assert!(!conclude(&facts).unwrap_err().to_string().contains("to group"));
}

#[test]
fn a_switch_that_does_not_apply_to_this_process_is_no_error() {
    assert_eq!(conclude(&Facts { switch: Some(1), ..good() }), Ok(()));
}

#[test]
fn a_container_that_filters_io_uring_is_told_the_calls_to_allow() {
    for error in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        let facts = Facts { filtered: true, ..refused(error) };
        assert!(matches!(conclude(&facts), Err(PreflightError::Policy { filtered: true, .. })));
        text_with(facts, &["are filtered", "seccomp", "io_uring_setup", "io_uring_register"]);
    }
}

#[test]
fn a_refusal_without_filter_or_switch_points_at_the_security_module() {
    text_with(refused(libc::EACCES), &["are not filtered", "audit log"]);
    text_with(refused(libc::ENOSYS), &["a security policy"]);
}

#[test]
fn a_kernel_without_io_uring_is_named() {
    let facts = Facts { switch: None, release: "4.19.0".into(), ..refused(libc::ENOSYS) };
    text_with(facts, &["this kernel (4.19.0) has no io_uring", "CONFIG_IO_URING"]);
}

#[test]
fn too_little_locked_memory_is_told_the_limit_found_and_who_can_raise_it() {
    let limit = |soft_bytes, hard_bytes| Facts {
        locked_memory: Some(Limit { soft_bytes: Some(soft_bytes), hard_bytes }),
        ..good()
    };
    text_with(
        limit(64 << 10, None),
        &["64 KiB", "needs 512 KiB", "ulimit -l 512", "LimitMEMLOCK="],
    );
    text_with(limit(64 << 10, Some(64 << 10)), &["hard limit is 64 KiB", "LimitMEMLOCK="]);
    assert!(conclude(&limit(LOCKED_MEMORY_BYTES_MIN - 1, None)).is_err());
    assert_eq!(conclude(&limit(LOCKED_MEMORY_BYTES_MIN, None)), Ok(()));
    let older_kernel = Facts { ring_refused: Some(libc::ENOMEM), ..limit(64 << 10, None) };
    assert!(matches!(conclude(&older_kernel), Err(PreflightError::LockedMemory { .. })));
}

#[test]
fn other_refusals_keep_the_kernels_reason() {
    text_with(refused(libc::EMFILE), &["Too many open files", "ulimit -n"]);
    text_with(refused(libc::ENOMEM), &["Cannot allocate memory"]);
    text_with(refused(libc::EINVAL), &["Invalid argument"]);
}

#[test]
fn a_process_that_really_may_lock_too_little_is_told_so() {
    const LOWERED: &str = "MAINSPRING_TEST_LOWERED_LIMIT";
    if std::env::var_os(LOWERED).is_some() {
        let error = preflight().unwrap_err();
        assert!(error.to_string().contains("may lock 64 KiB"), "{error}");
        return;
    }
    if Facts::probe(&SysRoot::real()).ring_refused.is_some() {
        println!("skipped: this machine refuses io_uring, which is found first");
        return;
    }
    // This same test again, alone in a process of its own whose limit the shell has lowered.
    let name = "driver::cpu::tests::a_process_that_really_may_lock_too_little_is_told_so";
    let lowered = std::process::Command::new("sh")
        .args(["-c", "ulimit -l 64 && exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(LOWERED, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&lowered.stdout);
    assert!(lowered.status.success() && output.contains("1 passed"), "{output}");
}
