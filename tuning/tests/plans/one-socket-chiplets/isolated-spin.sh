#!/bin/sh
# a recorded machine
#
# Use: sh THIS apply, sh THIS undo. The undo sets what was there when this was printed.
set -eu

apply() {
    # irq.balance: the daemon moves interrupts to the shards within seconds, whatever their masks were
    [ -e /etc/sysconfig/irqbalance ] || : > /etc/sysconfig/irqbalance
    sed -i -e '/^IRQBALANCE_BANNED_CPULIST=/d' -e '$a\' /etc/sysconfig/irqbalance
    printf '%s\n' 'IRQBALANCE_BANNED_CPULIST="1-7"' >> /etc/sysconfig/irqbalance
    systemctl try-restart irqbalance.service
    # cpu.governor: after a quiet moment the first messages run at a low clock until the governor notices
    echo performance > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu1/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu2/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu3/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu4/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu5/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu6/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu7/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu8/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu9/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu10/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu11/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu12/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu13/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu14/cpufreq/scaling_governor
    echo performance > /sys/devices/system/cpu/cpu15/cpufreq/scaling_governor
    # cpu.idle_latency: a core that slept is woken this much later, and its caches may be cold
    echo 1 > /sys/devices/system/cpu/cpu0/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu1/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu2/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu3/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu4/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu5/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu6/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu7/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu8/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu9/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu10/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu11/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu12/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu13/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu14/cpuidle/state2/disable
    echo 1 > /sys/devices/system/cpu/cpu15/cpuidle/state2/disable
    # net.rps_xps: the kernel hands frames to shards' CPUs for processing, or shards share a send queue by chance
    echo 0101 > /sys/class/net/enp1s0f0/queues/rx-0/rps_cpus
    echo 0101 > /sys/class/net/enp1s0f0/queues/rx-1/rps_cpus
    echo 0101 > /sys/class/net/enp1s0f0/queues/rx-2/rps_cpus
    echo 0101 > /sys/class/net/enp1s0f0/queues/rx-3/rps_cpus
    # net.slow_start: after a pause a burst is sent ten frames at a time, a round trip each
    echo 0 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    # irq.default_affinity: a device that is plugged in, or restarted, interrupts the shards again
    echo 0101 > /proc/irq/default_smp_affinity
    # irq.affinity: frames that arrive interrupt a shard, and the soft interrupt that follows takes its CPU for longer
    echo 0,8 > /proc/irq/70/smp_affinity_list
    echo 0,8 > /proc/irq/73/smp_affinity_list
    # kernel.timer_migration: timers of other CPUs are moved to CPUs that are awake, and those are the shards'
    echo 0 > /proc/sys/kernel/timer_migration
    # kernel.nmi_watchdog: every CPU takes a non-maskable interrupt every few seconds and lends a counter to it
    echo 0 > /proc/sys/kernel/nmi_watchdog
    # kernel.stat_interval: a worker of the kernel wakes on each CPU every second to add up memory statistics
    echo 10 > /proc/sys/vm/stat_interval
    # kernel.workqueue_mask: work that the kernel defers may be done on a shard's CPU
    echo 0101 > /sys/devices/virtual/workqueue/cpumask
    # blk.nomerges: the kernel looks for a neighbour of each request to merge it with, and finds none
    echo 2 > /sys/block/nvme0n1/queue/nomerges
    echo 2 > /sys/block/nvme1n1/queue/nomerges
    # net.coalescing: a frame that has arrived waits in the device for others, up to this long
    ethtool --coalesce enp1s0f0 rx-usecs 8
    # mem.locked_limit+limits.nofile: rings and registered buffers are refused, or memory that should never be swapped may be
    [ -d /etc/security ] || mkdir /etc/security
    [ -d /etc/security/limits.d ] || mkdir /etc/security/limits.d
    printf '%s' '*    - memlock unlimited
root - memlock unlimited
*    - nofile 65536
root - nofile 65536
' > /etc/security/limits.d/90-mainspring-tune.conf
    # cpu.isolation: the scheduler may put any thread on a shard's CPU, and the shard waits for a time slice
    grep -qsw cpuset /sys/fs/cgroup/cgroup.subtree_control || echo +cpuset > /sys/fs/cgroup/cgroup.subtree_control
    [ -d /sys/fs/cgroup/mainspring ] || mkdir /sys/fs/cgroup/mainspring
    echo 1-7,9-15 > /sys/fs/cgroup/mainspring/cpuset.cpus
    echo isolated > /sys/fs/cgroup/mainspring/cpuset.cpus.partition
    :
}

undo() {
    rmdir /sys/fs/cgroup/mainspring
    # cpuset stays on in /sys/fs/cgroup/cgroup.subtree_control
    rm -f /etc/security/limits.d/90-mainspring-tune.conf
    rmdir /etc/security/limits.d 2> /dev/null || :
    rmdir /etc/security 2> /dev/null || :
    ethtool --coalesce enp1s0f0 rx-usecs 10
    echo 0 > /sys/block/nvme1n1/queue/nomerges
    echo 0 > /sys/block/nvme0n1/queue/nomerges
    echo ffff > /sys/devices/virtual/workqueue/cpumask
    echo 1 > /proc/sys/vm/stat_interval
    echo 1 > /proc/sys/kernel/nmi_watchdog
    echo 1 > /proc/sys/kernel/timer_migration
    echo 0-15 > /proc/irq/73/smp_affinity_list
    echo 0-15 > /proc/irq/70/smp_affinity_list
    echo ffff > /proc/irq/default_smp_affinity
    echo 1 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    echo ffff > /sys/class/net/enp1s0f0/queues/rx-3/rps_cpus
    echo ffff > /sys/class/net/enp1s0f0/queues/rx-2/rps_cpus
    echo ffff > /sys/class/net/enp1s0f0/queues/rx-1/rps_cpus
    echo ffff > /sys/class/net/enp1s0f0/queues/rx-0/rps_cpus
    echo 0 > /sys/devices/system/cpu/cpu15/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu14/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu13/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu12/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu11/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu10/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu9/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu8/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu7/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu6/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu5/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu4/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu3/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu2/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu1/cpuidle/state2/disable
    echo 0 > /sys/devices/system/cpu/cpu0/cpuidle/state2/disable
    echo schedutil > /sys/devices/system/cpu/cpu15/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu14/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu13/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu12/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu11/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu10/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu9/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu8/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu7/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu6/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu5/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu4/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu3/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu2/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu1/cpufreq/scaling_governor
    echo schedutil > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
    sed -i -e '/^IRQBALANCE_BANNED_CPULIST=/d' /etc/sysconfig/irqbalance
    printf '%s\n' 'IRQBALANCE_BANNED_CPULIST="2-3"' >> /etc/sysconfig/irqbalance
    systemctl try-restart irqbalance.service
    :
}

# At the next boot (reboot needed; see --as cmdline):
#   cpu.smt: nosmt
#   kernel.rcu_nocbs: rcu_nocbs=1-7
#   kernel.nohz_full: nohz_full=1-7
#   blk.poll_queues: nvme.poll_queues=7

# Left to you:
#   net.queues: run ethtool --set-channels enp1s0f0 combined 2; the link goes down for a moment, and the device's interrupts get new numbers: do it first, then audit again
#   clock.source: wanted tsc or arch_sys_counter, found hpet; offered are hpet acpi_pm; nothing that a program may do would mend it
#   blk.write_cache: wanted write through, found write back on nvme0n1, nvme1n1; nothing that a program may do would mend it

case "${1-}" in
    apply) apply ;;
    undo) undo ;;
    *)
        echo "use: sh $0 apply|undo" >&2
        exit 2
        ;;
esac
