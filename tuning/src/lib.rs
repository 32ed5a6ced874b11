//! Topology of a Linux machine.
