//! A journal on real files under a real node: what was answered is there when the node starts again, and for those who
//! read it beside the node.

mod afar;
mod counters;
mod queries;
mod restarts;
