//! `topology`: a picture of the CPUs and of what each is best for.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use super::{AS_WANTED, CommandError, Context};
use crate::check;
use crate::cpu_set::CpuSet;
use crate::facts::Facts;
use crate::interrupts::{self, Device, DeviceKind};
use crate::roles::Roles;
use crate::topology::{Cpu, Topology};
use crate::want::ShardCpus;

/// The arguments of `topology`.
#[derive(Debug, clap::Args)]
pub(super) struct TopologyArguments {
    /// How many cores are to carry shards; as many as suit the machine when left out.
    #[arg(long)]
    cores: Option<usize>,
}

impl TopologyArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        // The check of the interrupts wants to see all that there is to see of them.
        let checks: Vec<_> = check::by_id("irq.affinity").into_iter().collect();
        let facts = Facts::probe(&context.root, &checks)?;
        let wanted = self.cores.map_or(ShardCpus::Suggested, ShardCpus::Count);
        let roles = Roles::of(facts.topology(), &wanted);
        if context.is_json {
            serde_json::to_writer_pretty(&mut *out, &json_of(&facts, &roles))?;
            writeln!(out)?;
        } else {
            write_text(&facts, &roles, out)?;
        }
        Ok(AS_WANTED)
    }
}

fn write_text(facts: &Facts, roles: &Roles, out: &mut dyn Write) -> Result<(), CommandError> {
    let topology = facts.topology();
    let (surroundings, online) = (facts.surroundings(), topology.online());
    writeln!(out, "{}, {}", surroundings.describe(), surroundings.describe_kernel())?;
    writeln!(
        out,
        "{} CPUs {online}; this process may use {}",
        online.len(),
        topology.allowed_cpus()
    )?;
    for (package, in_package) in topology.packages() {
        writeln!(out, "\npackage {package}")?;
        for (node, in_node) in topology.nodes() {
            let here = in_node.intersection(&in_package);
            if here.is_empty() {
                continue;
            }
            writeln!(out, "  node {node}")?;
            for (cache, in_cache) in topology.caches() {
                let here = in_cache.intersection(&here);
                if !here.is_empty() {
                    writeln!(out, "    cache of {cache:<4} {}", cores_of(topology, roles, &here))?;
                }
            }
        }
    }
    writeln!(
        out,
        "\n[ ] one physical core, S shard, H housekeeping, . sibling of a shard, x not allowed"
    )?;
    writeln!(out, "shards        {}", or_none(&roles.shards))?;
    writeln!(out, "housekeeping  {}", or_none(&roles.housekeeping))?;
    let bare = roles.nodes_without_housekeeping(topology);
    if !bare.is_empty() && !roles.housekeeping.is_empty() {
        let bare: Vec<String> = bare.iter().map(u32::to_string).collect();
        let bare = bare.join(", ");
        writeln!(
            out,
            "note: no CPU of node {bare} is left to its interrupts; fewer shards would leave one"
        )?;
    }
    write_devices(&interrupts::devices(facts), out)?;
    for note in topology.notes() {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

/// The CPUs that each device interrupts.
fn write_devices(devices: &[Device], out: &mut dyn Write) -> Result<(), CommandError> {
    if !devices.is_empty() {
        writeln!(
            out,
            "\n{:<14} {:<9} {:<6} {:<11} interrupts go to",
            "device", "kind", "node", "interrupts"
        )?;
    }
    for device in devices {
        let homes = device.interrupts.iter().filter_map(|interrupt| {
            interrupt
                .effective
                .as_ref()
                .filter(|cpus| !cpus.is_empty())
                .or(interrupt.allowed.as_ref())
        });
        let homes = homes.fold(CpuSet::new(), |homes, cpus| homes.union(cpus));
        let node = device.node.map_or("-".to_owned(), |node| node.to_string());
        let (kind, count) = (kind_name(device.kind), device.interrupts.len());
        writeln!(out, "{:<14} {kind:<9} {node:<6} {count:<11} {}", device.name, or_none(&homes))?;
    }
    Ok(())
}

fn kind_name(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Network => "network",
        DeviceKind::Drive => "drive",
    }
}

/// The cores with a CPU in the set, each in brackets with the marks of its CPUs.
fn cores_of(topology: &Topology, roles: &Roles, cpus: &CpuSet) -> String {
    let mut cores = BTreeMap::<u32, Vec<String>>::new();
    for cpu in topology.cpus().iter().filter(|cpu| cpus.contains(cpu.number)) {
        let mark = mark_of(topology, roles, cpu);
        cores.entry(cpu.core).or_default().push(format!("{}{mark}", cpu.number));
    }
    let cores = cores.values().map(|cpus| format!("[{}]", cpus.join(" ")));
    cores.collect::<Vec<_>>().join(" ")
}

fn mark_of(topology: &Topology, roles: &Roles, cpu: &Cpu) -> char {
    if roles.shards.contains(cpu.number) {
        'S'
    } else if !topology.allowed_cpus().contains(cpu.number) {
        'x'
    } else if roles.siblings.contains(cpu.number) {
        '.'
    } else {
        'H'
    }
}

fn or_none(cpus: &CpuSet) -> String {
    if cpus.is_empty() { "none".to_owned() } else { cpus.to_string() }
}

fn json_of(facts: &Facts, roles: &Roles) -> Value {
    let topology = facts.topology();
    let surroundings = facts.surroundings();
    let cpus: Vec<Value> = topology
        .cpus()
        .iter()
        .map(|cpu| {
            json!({
                "number": cpu.number,
                "package": cpu.package,
                "node": cpu.node,
                "cache": cpu.cache,
                "core": cpu.core,
                "allowed": topology.allowed_cpus().contains(cpu.number),
                "role": role_of(roles, cpu.number),
            })
        })
        .collect();
    let notes: Vec<String> = topology.notes().iter().map(ToString::to_string).collect();
    let devices: Vec<Value> = interrupts::devices(facts).iter().map(device_json).collect();
    json!({
        "kernel": surroundings.kernel,
        "guest_of": surroundings.guest_of,
        "is_container": surroundings.is_container,
        "online": topology.online().to_string(),
        "affinity": topology.affinity().to_string(),
        "cpuset": topology.cpuset().map(CpuSet::to_string),
        "allowed": topology.allowed_cpus().to_string(),
        "cpus": cpus,
        "shards": roles.shards.to_string(),
        "housekeeping": roles.housekeeping.to_string(),
        "siblings": roles.siblings.to_string(),
        "nodes_without_housekeeping": roles.nodes_without_housekeeping(topology),
        "devices": devices,
        "notes": notes,
    })
}

fn device_json(device: &Device) -> Value {
    let interrupts: Vec<Value> = device
        .interrupts
        .iter()
        .map(|interrupt| {
            json!({
                "number": interrupt.number,
                "name": interrupt.name,
                "allowed": interrupt.allowed.as_ref().map(CpuSet::to_string),
                "effective": interrupt.effective.as_ref().map(CpuSet::to_string),
            })
        })
        .collect();
    json!({
        "name": device.name,
        "kind": kind_name(device.kind),
        "node": device.node,
        "interrupts": interrupts,
    })
}

fn role_of(roles: &Roles, cpu: u32) -> &'static str {
    if roles.shards.contains(cpu) {
        "shard"
    } else if roles.housekeeping.contains(cpu) {
        "housekeeping"
    } else {
        "sibling"
    }
}
