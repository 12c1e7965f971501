//! An open-loop load generator for servers that speak the Pusher protocol.
