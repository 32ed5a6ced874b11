#!/bin/sh
# Runs this contestant: the folder of the peers, then its command line. The emulator gets as many schedulers as the
# round has CPUs, and only the threads beside them that it cannot do without.
peers=$1
shift
schedulers=1
before=
for word in "$@"; do
    if [ "$before" = --cores ]; then
        commas=$(printf %s "$word" | tr -dc ,)
        schedulers=$((${#commas} + 1))
    fi
    before=$word
done
# On one CPU nothing can come in while a scheduler spins for it.
spin=medium
[ "$schedulers" -gt 1 ] || spin=none
exec erl -noshell -noinput +S "$schedulers:$schedulers" +SDcpu 1:1 +SDio 1 +A 1 +sbwt "$spin" \
    -pa "$peers/target/erlang" -run contestant main -extra "$@"
