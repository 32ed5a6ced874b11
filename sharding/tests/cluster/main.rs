//! Clusters of simulated nodes: they join, lose each other, leave and come back.

mod joining;
