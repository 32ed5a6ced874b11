//! Requests, connections and answers without a socket.

mod connections;
mod requests;
mod services;
