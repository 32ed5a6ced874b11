#!/usr/bin/env bash
# Puts sessions beside redis-server, in turns on the same machine, with redis-benchmark; prints a table with ratios.
# Needs Debian's redis-server and redis-tools. It ends what it has started, and nothing else.
#
#   examples/sessions/compare.sh [ROUNDS]
#
# REQUESTS, CLIENTS and KEYS may be set; CORES is what sessions runs on, SESSIONS where the program is.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds="${1:-3}"
requests="${REQUESTS:-200000}"
clients="${CLIENTS:-50}"
keys="${KEYS:-10000}"
cores="${CORES:-n:1}"
program="${SESSIONS:-target/release/sessions}"
redis_port=6399
sessions_port=6398

for needed in redis-server redis-benchmark redis-cli; do
    if ! command -v "$needed" >/dev/null; then
        echo "compare.sh: $needed is not installed: apt-get install redis-server redis-tools" >&2
        exit 2
    fi
done
if [ ! -x "$program" ]; then
    echo "compare.sh: $program is not there: cargo build --release --bin sessions" >&2
    exit 2
fi

# Not in /tmp, which may be memory.
folder="$(mktemp --directory "$PWD/target/compare-XXXXXX")"
started=""
stop() {
    if [ -n "$started" ]; then
        kill "$started" 2>/dev/null || true
        wait "$started" 2>/dev/null || true
        started=""
    fi
}
trap 'stop; rm --recursive --force "$folder"' EXIT

wait_for() {
    for _ in $(seq 100); do
        if redis-cli -p "$1" ping >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "compare.sh: nobody answers on port $1; see $folder/log" >&2
    exit 1
}

start_redis() {
    local data="$folder/redis-$1"
    mkdir --parents "$data"
    local durable=(--appendonly no)
    if [ "$1" = always ]; then durable=(--appendonly yes --appendfsync always); fi
    redis-server --port "$redis_port" --bind 127.0.0.1 --save "" --dir "$data" "${durable[@]}" >>"$folder/log" 2>&1 &
    started=$!
    wait_for "$redis_port"
}

start_sessions() {
    "$program" --listen "127.0.0.1:$sessions_port" --data "$folder/sessions-$1" --durability "$1" --cores "$cores" \
        >>"$folder/log" 2>&1 &
    started=$!
    wait_for "$sessions_port"
}

# Requests a second: port, test, pipeline.
measure() {
    timeout 120 redis-benchmark -p "$1" -t "$2" -P "$3" -n "$requests" -c "$clients" -r "$keys" --csv 2>/dev/null |
        awk -F , 'NR == 2 { gsub(/"/, "", $2); print $2 }'
}

for round in $(seq "$rounds"); do
    for durability in always none; do
        for server in redis sessions; do
            port="$redis_port"
            if [ "$server" = sessions ]; then port="$sessions_port"; fi
            "start_$server" "$durability"
            for pipeline in 1 16; do
                for test in set get; do
                    figure="$(measure "$port" "$test" "$pipeline")"
                    echo "$durability $pipeline $test $server $figure" >>"$folder/figures"
                    echo "round $round: $server, durability $durability, -P $pipeline, $test: $figure a second" >&2
                done
            done
            stop
        done
    done
done

printf '%-12s%-6s%-6s%16s%16s%10s\n' durability -P test redis-server sessions ratio
for durability in always none; do
    for pipeline in 1 16; do
        for test in set get; do
            median() {
                grep "^$durability $pipeline $test $1 " "$folder/figures" | cut --delimiter ' ' --fields 5 | sort --numeric-sort |
                    awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
            }
            awk -v d="$durability" -v p="$pipeline" -v t="$test" -v r="$(median redis)" -v s="$(median sessions)" \
                'BEGIN { printf "%-12s%-6s%-6s%16.0f%16.0f%10.2f\n", d, p, t, r, s, s / r }'
        done
    done
done
