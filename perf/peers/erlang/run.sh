#!/bin/sh
# Runs this contestant: the folder of the peers, then its command line. The emulator gets as many schedulers as the
# round has CPUs, and only the threads beside them that it cannot do without. In programs between nodes there are two
# emulators, each with one scheduler on a CPU of its own; the second inherits the flags and is started by the first.
peers=$1
shift
cores=0
before=
for word in "$@"; do
    [ "$before" != --cores ] || cores=$word
    before=$word
done
commas=$(printf %s "$cores" | tr -dc ,)
schedulers=$((${#commas} + 1))
# On one CPU nothing can come in while a scheduler spins for it.
spin=medium
[ "$schedulers" -gt 1 ] || spin=none
pin=
case $2 in
    remote-*)
        schedulers=1
        pin="taskset -c ${cores%%,*}"
        distribution="-start_epmd false -epmd_module far_node -kernel inet_dist_use_interface {127,0,0,1}"
        ;;
    *) distribution= ;;
esac
export ERL_AFLAGS="+S $schedulers:$schedulers +SDcpu 1:1 +SDio 1 +A 1 +sbwt $spin $distribution"
# shellcheck disable=SC2086 # the words of the pin are meant apart
exec $pin erl -noshell -noinput -pa "$peers/target/erlang" -run contestant main -extra "$@"
