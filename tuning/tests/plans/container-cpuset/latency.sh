#!/bin/sh
# a recorded machine
#
# Use: sh THIS apply, sh THIS undo. The undo sets what was there when this was printed.
set -eu

apply() {
    # net.slow_start: after a pause a burst is sent ten frames at a time, a round trip each
    echo 0 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    # mem.locked_limit: rings and registered buffers are refused, or memory that should never be swapped may be
    [ -d /etc/security ] || mkdir /etc/security
    [ -d /etc/security/limits.d ] || mkdir /etc/security/limits.d
    printf '%s' '*    - memlock unlimited
root - memlock unlimited
' > /etc/security/limits.d/90-mainspring-tune.conf
    # cpu.isolation: the scheduler may put any thread on a shard's CPU, and the shard waits for a time slice
    grep -qsw cpuset /sys/fs/cgroup/cgroup.subtree_control || echo +cpuset > /sys/fs/cgroup/cgroup.subtree_control
    [ -d /sys/fs/cgroup/mainspring ] || mkdir /sys/fs/cgroup/mainspring
    echo 2-3,6-7 > /sys/fs/cgroup/mainspring/cpuset.cpus
    echo isolated > /sys/fs/cgroup/mainspring/cpuset.cpus.partition
    :
}

undo() {
    rmdir /sys/fs/cgroup/mainspring
    # cpuset stays on in /sys/fs/cgroup/cgroup.subtree_control
    rm -f /etc/security/limits.d/90-mainspring-tune.conf
    rmdir /etc/security/limits.d 2> /dev/null || :
    rmdir /etc/security 2> /dev/null || :
    echo 1 > /proc/sys/net/ipv4/tcp_slow_start_after_idle
    :
}

# Left to you:
#   fs.direct_io: wanted ext4 or xfs, found overlay on /; nothing that a program may do would mend it
#   limits.cpu_quota: wanted none, found 2.000 CPUs; nothing that a program may do would mend it

case "${1-}" in
    apply) apply ;;
    undo) undo ;;
    *)
        echo "use: sh $0 apply|undo" >&2
        exit 2
        ;;
esac
