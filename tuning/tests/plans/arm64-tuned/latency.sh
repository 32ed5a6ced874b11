#!/bin/sh
# a recorded machine
#
# Use: sh THIS apply, sh THIS undo. The undo sets what was there when this was printed.
set -eu

apply() {
    :
}

undo() {
    :
}

case "${1-}" in
    apply) apply ;;
    undo) undo ;;
    *)
        echo "use: sh $0 apply|undo" >&2
        exit 2
        ;;
esac
