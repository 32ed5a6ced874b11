#!/bin/sh
# Compiles this contestant, with the flags of CAF's own benchmarks. First word: the folder of the peers; what is built
# goes to target/caf below it.
set -eu
mkdir -p "$1/target/caf"
exec g++ -std=c++17 -O3 -DNDEBUG -Wall -Wextra -o "$1/target/caf/contestant" "$1"/caf/src/*.cpp -lcaf_core -pthread
