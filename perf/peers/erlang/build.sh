#!/bin/sh
# Compiles this contestant. First word: the folder of the peers; what is built goes to target/erlang below it.
set -eu
mkdir -p "$1/target/erlang"
exec erlc -Werror +inline -o "$1/target/erlang" "$1"/erlang/src/*.erl
