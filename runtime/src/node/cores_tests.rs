//! Choices of cores on recorded machines.

use super::*;
use mainspring_tuning::SysRoot;

fn machine(name: &str) -> Topology {
    let machines =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tuning/tests/machines");
    Topology::read(&SysRoot::recorded(machines.join(name))).unwrap()
}

fn cpus(cores: Cores, machine_name: &str) -> Vec<u32> {
    let resolved = cores.resolve(&machine(machine_name)).unwrap();
    assert_eq!(resolved.warning, None);
    resolved.cpus
}

#[test]
fn all_means_all_that_are_allowed() {
    assert_eq!(cpus(Cores::all(), "firecracker-2vcpu"), [0, 1]);
    assert_eq!(cpus(Cores::all(), "container-cpuset"), [2, 3, 6]);
}

#[test]
fn a_count_fills_one_numa_node_first() {
    assert_eq!(cpus(Cores::count(3), "two-socket-smt"), [1, 2, 3]);
    assert_eq!(cpus(Cores::count(4), "two-socket-smt"), [1, 2, 3, 4]);
}

#[test]
fn the_default_is_a_core_for_each_physical_core_but_the_kernels() {
    assert_eq!(cpus(Cores::default(), "two-socket-smt"), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(cpus(Cores::default(), "container-cpuset"), [2, 3]);
    assert_eq!(cpus(Cores::default(), "firecracker-2vcpu"), [0, 1]);
}

#[test]
fn a_list_is_taken_in_its_own_order() {
    assert_eq!(cpus(Cores::list([9, 0]), "two-socket-smt"), [9, 0]);
}

#[test]
fn more_cores_than_cpus_wrap_round_with_a_warning_that_names_the_cost() {
    let resolved = Cores::count(5).resolve(&machine("firecracker-2vcpu")).unwrap();
    assert_eq!(resolved.cpus, [0, 1, 0, 1, 0]);
    let warning = resolved.warning.unwrap();
    assert_eq!(warning, Warning::Oversubscribed { cores: 5, cpus: 2 });
    assert!(warning.to_string().contains("preempt each other"));
    let twice = Cores::list([1, 1]).resolve(&machine("firecracker-2vcpu")).unwrap();
    assert_eq!(twice.warning, Some(Warning::Oversubscribed { cores: 2, cpus: 1 }));
}

#[test]
fn a_cpu_that_is_not_allowed_is_refused_naming_the_masks() {
    let error = Cores::list([2, 1]).resolve(&machine("container-cpuset")).unwrap_err();
    assert!(matches!(error, CoresError::NotAllowed { cpu: 1, .. }));
    let text = error.to_string();
    assert!(text.contains("may use 2-3,6 (affinity mask 1-3,6, cpuset 2-3,6-7)"), "{text}");
}

#[test]
fn a_cpu_that_is_not_online_is_refused_naming_those_that_are() {
    let error = Cores::list([16]).resolve(&machine("two-socket-smt")).unwrap_err();
    assert_eq!(error.to_string(), "CPU 16 is not online; online are 0-15");
}

#[test]
fn no_core_and_too_many_cores_are_refused() {
    let machine = machine("firecracker-2vcpu");
    for none in [Cores::list([]), Cores::count(0)] {
        assert!(matches!(none.resolve(&machine), Err(CoresError::NoCore { .. })));
    }
    let resolved = Cores::count(CORES_MAX).resolve(&machine).unwrap();
    assert_eq!(resolved.cpus.len(), CORES_MAX);
    assert_eq!(
        Cores::count(usize::MAX).resolve(&machine),
        Err(CoresError::TooMany { requested: usize::MAX })
    );
}

#[test]
fn choices_are_read_from_text_and_written_as_text() {
    for (text, cores) in [
        ("all", Cores::all()),
        ("suggested", Cores::suggested()),
        ("n:4", Cores::count(4)),
        ("0,1,2,6", Cores::list([0, 1, 2, 6])),
    ] {
        assert_eq!(text.parse(), Ok(cores.clone()));
        assert_eq!(cores.to_string(), text);
    }
    assert_eq!("0-2,6".parse(), Ok(Cores::list([0, 1, 2, 6])));
    assert_eq!(" all\n".parse(), Ok(Cores::all()));
}

#[test]
fn a_text_that_is_no_choice_is_refused_with_what_would_be() {
    for text in ["n:0", "n:", "n:-1", "n:99999999999999999999", "n:1025"] {
        assert_eq!(text.parse::<Cores>(), Err(ParseCoresError::Count { text: text.to_owned() }));
    }
    assert_eq!("  ".parse::<Cores>(), Err(ParseCoresError::Empty));
    let error = "0-3;6".parse::<Cores>().unwrap_err();
    assert!(error.to_string().contains("at byte 3"), "{error}");
    assert!(error.to_string().contains("`n:4`"), "{error}");
}
