#!/bin/sh
# a recorded machine
#
# Use: sh THIS apply, sh THIS undo. The undo sets what was there when this was printed.
set -eu

apply() {
    # irq.balance: the daemon moves interrupts to the shards within seconds, whatever their masks were
    [ -e /etc/default/irqbalance ] || : > /etc/default/irqbalance
    sed -i -e '/^IRQBALANCE_BANNED_CPULIST=/d' -e '$a\' /etc/default/irqbalance
    printf '%s\n' 'IRQBALANCE_BANNED_CPULIST="1-7"' >> /etc/default/irqbalance
    systemctl try-restart irqbalance.service
    # cpu.energy_preference: the processor itself trades response for power, whatever the governor says
    echo performance > /sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu1/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu2/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu3/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu4/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu5/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu6/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu7/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu8/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu9/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu10/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu11/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu12/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu13/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu14/cpufreq/energy_performance_preference
    echo performance > /sys/devices/system/cpu/cpu15/cpufreq/energy_performance_preference
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
    echo 1 > /sys/devices/system/cpu/cpu0/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu1/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu2/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu3/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu4/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu5/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu6/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu7/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu8/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu9/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu10/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu11/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu12/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu13/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu14/cpuidle/state3/disable
    echo 1 > /sys/devices/system/cpu/cpu15/cpuidle/state3/disable
    # net.slow_start: after a pause a burst is sent ten frames at a time, a round trip each
    echo 0 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    # irq.default_affinity: a device that is plugged in, or restarted, interrupts the shards again
    echo 0101 > /proc/irq/default_smp_affinity
    # irq.affinity: frames that arrive interrupt a shard, and the soft interrupt that follows takes its CPU for longer
    echo 0,8 > /proc/irq/40/smp_affinity_list
    echo 0,8 > /proc/irq/41/smp_affinity_list
    echo 0,8 > /proc/irq/42/smp_affinity_list
    echo 0,8 > /proc/irq/43/smp_affinity_list
    echo 0,8 > /proc/irq/44/smp_affinity_list
    echo 0,8 > /proc/irq/45/smp_affinity_list
    echo 0,8 > /proc/irq/46/smp_affinity_list
    echo 0,8 > /proc/irq/47/smp_affinity_list
    echo 0,8 > /proc/irq/48/smp_affinity_list
    # mem.thp: `always`: a page fault may stop a thread while the kernel clears 2 MiB or compacts memory
    echo madvise > /sys/kernel/mm/transparent_hugepage/enabled
    # mem.numa_balancing: the kernel unmaps pages to see who touches them; each first touch is a fault on a shard's path
    echo 0 > /proc/sys/kernel/numa_balancing
    # mem.swappiness: under memory pressure pages of a program are written out rather than pages of files dropped
    echo 10 > /proc/sys/vm/swappiness
    # kernel.timer_migration: timers of other CPUs are moved to CPUs that are awake, and those are the shards'
    echo 0 > /proc/sys/kernel/timer_migration
    # kernel.nmi_watchdog: every CPU takes a non-maskable interrupt every few seconds and lends a counter to it
    echo 0 > /proc/sys/kernel/nmi_watchdog
    # kernel.stat_interval: a worker of the kernel wakes on each CPU every second to add up memory statistics
    echo 10 > /proc/sys/vm/stat_interval
    # kernel.workqueue_mask: work that the kernel defers may be done on a shard's CPU
    echo 0101 > /sys/devices/virtual/workqueue/cpumask
    # blk.scheduler: each request passes a queue and a lock that a fast drive does not need
    echo none > /sys/block/sda/queue/scheduler
    # net.coalescing: a frame that has arrived waits in the device for others, up to this long
    ethtool --coalesce eth0 adaptive-rx off
    ethtool --coalesce eth0 rx-usecs 8
    # mem.locked_limit+limits.nofile: rings and registered buffers are refused, or memory that should never be swapped may be
    [ -d /etc/security ] || mkdir /etc/security
    [ -d /etc/security/limits.d ] || mkdir /etc/security/limits.d
    printf '%s' '*    - memlock unlimited
root - memlock unlimited
*    - nofile 65536
root - nofile 65536
' > /etc/security/limits.d/90-mainspring-tune.conf
    :
}

undo() {
    rm -f /etc/security/limits.d/90-mainspring-tune.conf
    rmdir /etc/security/limits.d 2> /dev/null || :
    rmdir /etc/security 2> /dev/null || :
    ethtool --coalesce eth0 rx-usecs 50
    ethtool --coalesce eth0 adaptive-rx on
    echo mq-deadline > /sys/block/sda/queue/scheduler
    echo ffff > /sys/devices/virtual/workqueue/cpumask
    echo 1 > /proc/sys/vm/stat_interval
    echo 1 > /proc/sys/kernel/nmi_watchdog
    echo 1 > /proc/sys/kernel/timer_migration
    echo 60 > /proc/sys/vm/swappiness
    echo 1 > /proc/sys/kernel/numa_balancing
    echo always > /sys/kernel/mm/transparent_hugepage/enabled
    echo 0-15 > /proc/irq/48/smp_affinity_list
    echo 0-15 > /proc/irq/47/smp_affinity_list
    echo 0-15 > /proc/irq/46/smp_affinity_list
    echo 0-15 > /proc/irq/45/smp_affinity_list
    echo 0-15 > /proc/irq/44/smp_affinity_list
    echo 0-15 > /proc/irq/43/smp_affinity_list
    echo 0-15 > /proc/irq/42/smp_affinity_list
    echo 0-15 > /proc/irq/41/smp_affinity_list
    echo 0-15 > /proc/irq/40/smp_affinity_list
    echo ffff > /proc/irq/default_smp_affinity
    echo 1 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    echo 0 > /sys/devices/system/cpu/cpu15/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu14/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu13/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu12/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu11/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu10/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu9/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu8/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu7/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu6/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu5/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu4/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu3/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu2/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu1/cpuidle/state3/disable
    echo 0 > /sys/devices/system/cpu/cpu0/cpuidle/state3/disable
    echo powersave > /sys/devices/system/cpu/cpu15/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu14/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu13/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu12/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu11/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu10/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu9/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu8/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu7/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu6/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu5/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu4/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu3/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu2/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu1/cpufreq/scaling_governor
    echo powersave > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
    echo balance_performance > /sys/devices/system/cpu/cpu15/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu14/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu13/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu12/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu11/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu10/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu9/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu8/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu7/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu6/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu5/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu4/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu3/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu2/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu1/cpufreq/energy_performance_preference
    echo balance_performance > /sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference
    sed -i -e '/^IRQBALANCE_BANNED_CPULIST=/d' /etc/default/irqbalance
    systemctl try-restart irqbalance.service
    :
}

# At the next boot (reboot needed; see --as cmdline):
#   cpu.isolation: isolcpus=managed_irq,domain,1-7,9-15

# Left to you:
#   net.queues: run ethtool --set-channels eth0 combined 2; the link goes down for a moment, and the device's interrupts get new numbers: do it first, then audit again
#   blk.write_cache: wanted write through, found write back on sda; write through on nvme0n1; nothing that a program may do would mend it
#   blk.fua: wanted yes, found nvme0n1: not needed; sda: no; nothing that a program may do would mend it

case "${1-}" in
    apply) apply ;;
    undo) undo ;;
    *)
        echo "use: sh $0 apply|undo" >&2
        exit 2
        ;;
esac
