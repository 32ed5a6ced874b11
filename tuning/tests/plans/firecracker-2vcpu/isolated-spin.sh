#!/bin/sh
# a recorded machine
#
# Use: sh THIS apply, sh THIS undo. The undo sets what was there when this was printed.
set -eu

apply() {
    # net.slow_start: after a pause a burst is sent ten frames at a time, a round trip each
    echo 0 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    # kernel.timer_migration: timers of other CPUs are moved to CPUs that are awake, and those are the shards'
    echo 0 > /proc/sys/kernel/timer_migration
    # kernel.stat_interval: a worker of the kernel wakes on each CPU every second to add up memory statistics
    echo 10 > /proc/sys/vm/stat_interval
    # blk.scheduler: each request passes a queue and a lock that a fast drive does not need
    echo none > /sys/block/vda/queue/scheduler
    # blk.nomerges: the kernel looks for a neighbour of each request to merge it with, and finds none
    echo 2 > /sys/block/vda/queue/nomerges
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
    echo 0 > /sys/block/vda/queue/nomerges
    echo mq-deadline > /sys/block/vda/queue/scheduler
    echo 1 > /proc/sys/vm/stat_interval
    echo 1 > /proc/sys/kernel/timer_migration
    echo 1 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    :
}

# At the next boot (reboot needed; see --as cmdline):
#   blk.poll_queues: virtio_blk.poll_queues=2

# Left to you:
#   virt.steal: wanted at most 0.0100 %, found 0.0763 % since boot; nothing that a program may do would mend it

case "${1-}" in
    apply) apply ;;
    undo) undo ;;
    *)
        echo "use: sh $0 apply|undo" >&2
        exit 2
        ;;
esac
