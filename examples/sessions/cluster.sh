#!/bin/sh
# Three processes of sessions and one etcd on this machine, as a cluster to play with.
#
#   examples/sessions/cluster.sh up            starts all; clients on 127.0.0.1:6381, 6382, 6383
#   examples/sessions/cluster.sh status        who is a member, and how many shards are where
#   examples/sessions/cluster.sh stop 2        SIGTERM: it hands over, leaves and ends
#   examples/sessions/cluster.sh kill 2        SIGKILL
#   examples/sessions/cluster.sh start 2       starts it again, at the same address
#   examples/sessions/cluster.sh partition 2   nothing comes to or from it any more (root and nft; up as root)
#   examples/sessions/cluster.sh heal          the network is whole again
#   examples/sessions/cluster.sh down          ends all that was started
#
# State is in CLUSTER_FOLDER (target/sessions-cluster); only processes that stand in its files are ended. As root each
# process has a network namespace of its own, and clients find process N on 10.78.0.N:6380.
set -eu

root="$(cd "$(dirname "$0")/../.." && pwd)"
folder="${CLUSTER_FOLDER:-$root/target/sessions-cluster}"
program="${SESSIONS:-$root/target/release/sessions}"

fail() { echo "cluster.sh: $1" >&2; exit "${2:-1}"; }

number() {
    case "${1:-}" in
        1|2|3) ;;
        *) fail "which process? 1, 2 or 3" 2 ;;
    esac
}

namespaces() { [ -e "$folder/namespaces" ]; }

host() { if namespaces; then echo 10.78.0.254; else echo 127.0.0.1; fi; }
address() { if namespaces; then echo "10.78.0.$1"; else echo 127.0.0.1; fi; }
port() { if namespaces; then echo 6380; else echo "638$1"; fi; }
links() { if namespaces; then echo "10.78.0.$1:7355"; else echo "127.0.0.1:735$1"; fi; }
client() { node="$1"; shift; timeout 5 redis-cli -h "$(address "$node")" -p "$(port "$node")" "$@"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# Whether the process of a file runs, and is the one that was started.
runs() {
    [ -e "$folder/$1.pid" ] || return 1
    pid="$(cat "$folder/$1.pid")"
    kill -0 "$pid" 2>/dev/null && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "$folder"
}

signal() { if runs "$2"; then kill "-$1" "$(cat "$folder/$2.pid")"; fi; }

gone() {
    tries=0
    while runs "$1"; do
        tries=$((tries + 1))
        [ "$tries" -lt 400 ] || fail "$1 does not end; see $folder/$1.log"
        sleep 0.1
    done
    rm -f "$folder/$1.pid"
}

start_node() {
    number "${1:-}"
    if runs "node$1"; then fail "process $1 runs already"; fi
    seeds="$(links 1),$(links 2),$(links 3)"
    inside=""
    if namespaces; then inside="ip netns exec sessions$1"; fi
    # shellcheck disable=SC2086
    $inside "$program" --cluster --cores n:1 --idle eco --listen "$(address "$1"):$(port "$1")" \
        --listen-links "$(links "$1")" --seeds "$seeds" --etcd "http://$(host):23790" --key-file "$folder/key" \
        >>"$folder/node$1.log" 2>&1 &
    echo $! >"$folder/node$1.pid"
}

make_namespaces() {
    ip link add sessions0 type bridge
    ip addr add 10.78.0.254/24 dev sessions0
    ip link set sessions0 up
    for n in 1 2 3; do
        ip netns add "sessions$n"
        ip link add "sessionsv$n" type veth peer name eth0 netns "sessions$n"
        ip link set "sessionsv$n" master sessions0 up
        ip -n "sessions$n" addr add "10.78.0.$n/24" dev eth0
        ip -n "sessions$n" link set lo up
        ip -n "sessions$n" link set eth0 up
    done
}

remove_namespaces() {
    for n in 1 2 3; do ip netns del "sessions$n" 2>/dev/null || true; done
    ip link del sessions0 2>/dev/null || true
}

# Prints when all shards are on the processes that run, fairly shared, and how long that took.
settle() {
    since="$(now_ms)"
    while true; do
        sum=0 least=1024 most=0
        for n in 1 2 3; do
            runs "node$n" || continue
            shards="$(client "$n" info cluster 2>/dev/null | sed -n 's/^core[0-9]*:shards=\([0-9]*\).*/\1/p' |
                awk '{sum += $1} END {print sum + 0}')"
            sum=$((sum + shards))
            if [ "$shards" -lt "$least" ]; then least="$shards"; fi
            if [ "$shards" -gt "$most" ]; then most="$shards"; fi
        done
        took=$(($(now_ms) - since))
        if [ "$sum" -eq 1024 ] && [ $((most - least)) -le 2 ]; then
            echo "all 1024 shards are in place after $took ms"
            return
        fi
        [ "$took" -lt 60000 ] || fail "the shards are not in place after a minute; see $folder"
        sleep 0.1
    done
}

# The longest wait of a client for each of 30 keys while something happens: how long keys were handed over.
watch_keys() {
    rm -f "$folder/waits" "$folder/enough"
    # Watchers end with this script, whatever happens to it.
    trap 'touch "$folder/enough"' EXIT
    for key in $(seq 30); do
        (
            while [ -d "$folder" ] && [ ! -e "$folder/enough" ]; do
                begun="$(now_ms)"
                client "$1" get "watched:$key" >/dev/null 2>&1 || true
                echo $(($(now_ms) - begun))
                sleep 0.2
            done | sort -n | tail -1 >>"$folder/waits"
        ) &
    done
}

show_waits() {
    touch "$folder/enough"
    wait
    sort -n "$folder/waits" | awk '{wait[NR] = $1} END {
        print "longest wait of a client by key: middle " wait[int((NR + 1) / 2)] " ms, most " wait[NR] " ms, of " NR
    }'
}

other_than() { if [ "$1" = 1 ]; then echo 2; else echo 1; fi; }

case "${1:-}" in
    up)
        command -v etcd >/dev/null || fail "no etcd; Debian: apt-get install etcd-server" 2
        command -v redis-cli >/dev/null || fail "no redis-cli; Debian: apt-get install redis-tools" 2
        [ -x "$program" ] ||
            fail "no $program; cargo build --release -p mainspring-examples --features etcd --bin sessions" 2
        [ ! -e "$folder" ] || fail "$folder is there; $0 down first" 2
        mkdir -p "$folder"
        if [ "$(id -u)" = 0 ] && command -v ip >/dev/null && command -v nft >/dev/null; then
            touch "$folder/namespaces"
            make_namespaces
        else
            echo "no root or no nft: on loopback, without partition"
        fi
        (umask 077 && head -c 32 /dev/urandom >"$folder/key")
        url="http://$(host)"
        etcd --data-dir "$folder/etcd" --listen-client-urls "$url:23790" --advertise-client-urls "$url:23790" \
            --listen-peer-urls "$url:23800" --initial-advertise-peer-urls "$url:23800" \
            --initial-cluster "default=$url:23800" --log-level warn >"$folder/etcd.log" 2>&1 &
        echo $! >"$folder/etcd.pid"
        for n in 1 2 3; do start_node "$n"; done
        settle
        ;;
    status)
        for n in 1 2 3; do
            echo "process $n, clients on $(address "$n"):$(port "$n"):"
            if runs "node$n"; then client "$n" info cluster || true; else echo "does not run"; fi
        done
        ;;
    stop | kill)
        number "${2:-}"
        runs "node$2" || fail "process $2 does not run"
        watch_keys "$(other_than "$2")"
        sleep 1
        if [ "$1" = stop ]; then signal TERM "node$2"; else signal KILL "node$2"; fi
        gone "node$2"
        settle
        show_waits
        ;;
    start)
        start_node "${2:-}"
        settle
        ;;
    partition)
        number "${2:-}"
        namespaces || fail "no partition on loopback: up has to run as root, with ip and nft" 2
        ip netns exec "sessions$2" nft add table inet cut
        for way in input output; do
            ip netns exec "sessions$2" nft add chain inet cut "$way" "{ type filter hook $way priority 0 ; policy drop ; }"
        done
        gone "node$2"
        echo "process $2 was cut off, and has ended"
        settle
        ;;
    heal)
        for n in 1 2 3; do ip netns exec "sessions$n" nft delete table inet cut 2>/dev/null || true; done
        echo "the network is whole; start again what has ended"
        ;;
    down)
        for name in node1 node2 node3; do signal TERM "$name"; done
        for name in node1 node2 node3; do gone "$name"; done
        signal TERM etcd
        gone etcd
        if namespaces; then remove_namespaces; fi
        rm -rf "$folder"
        ;;
    *) fail "up | status | stop N | kill N | start N | partition N | heal | down" 2 ;;
esac
