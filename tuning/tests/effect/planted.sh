#!/bin/sh
# A scenario on the recorded machine whose state folder it is given: a tenth slower while timers do not migrate, with
# noise that depends on nothing but how often it ran. The scenario "broken" ends while the setting is made; "no-op" does
# not look at it.
while [ "$1" != --out ]; do
    [ "$1" != run ] || scenario=$2
    shift
done
machine=$2/../../../..
migrates=$(cat "$machine/proc/sys/kernel/timer_migration")
runs=$(cat "$2/runs" 2> /dev/null || echo 0)
echo $((runs + 1)) > "$2/runs"
ns=$((9800 + runs * 70 % 410))
if [ "$migrates" = 0 ]; then
    [ "$scenario" != broken ] || exit 3
    [ "$scenario" = no-op ] || ns=$((ns * 110 / 100))
fi
echo "{\"scenario\": \"$scenario\", \"ns_per_message\": $ns.0, \"verdict\": \"valid\"}"
