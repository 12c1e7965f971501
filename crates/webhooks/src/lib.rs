//! Outgoing webhooks: grace, a durable queue, signed delivery with retries.
