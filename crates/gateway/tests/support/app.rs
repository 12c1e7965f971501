//! Applications of a test's configuration.

use courant_auth::Secret;
use courant_auth::signature;

/// An application as the test's configuration declares it.
#[derive(Clone, Debug)]
pub struct App {
    pub id: &'static str,
    pub key: &'static str,
    pub secret: &'static str,
    settings: String,
}

impl App {
    /// An application with nothing optional switched on.
    pub fn new(id: &'static str, key: &'static str, secret: &'static str) -> Self {
        Self { id, key, secret, settings: String::new() }
    }

    /// The usual one: client events, counting and watchlists are on.
    pub fn usual() -> Self {
        Self::new("1001", "app-key", "app-secret")
            .set("client_events = true")
            .set("subscription_counting = false")
            .set("watchlist = true")
    }

    /// Adds a line of TOML to its table, or replaces the line of the same key. A line that begins with `[` (a table within,
    /// such as `[[apps.webhooks]]`) and what follows stay in their order.
    pub fn set(mut self, line: &str) -> Self {
        if let Some((key, _)) = line.split_once('=')
            && !line.trim_start().starts_with('[')
            && !self.settings.contains("[[")
        {
            let is_other =
                |known: &&str| known.split_once('=').is_none_or(|(name, _)| name.trim() != key.trim());
            self.settings = self.settings.lines().filter(is_other).map(|line| format!("{line}\n")).collect();
        }
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// Its table for the configuration file.
    pub fn toml(&self) -> String {
        let Self { id, key, secret, settings } = self;
        format!("\n[[apps]]\nid = \"{id}\"\nkey = \"{key}\"\nsecret = \"{secret}\"\n{settings}")
    }

    /// `auth` for a subscription.
    pub fn channel_auth(&self, socket_id: &str, channel: &str, channel_data: Option<&str>) -> String {
        format!("{}:{}", self.key, signature::channel_auth(&self.signer(), socket_id, channel, channel_data))
    }

    /// `auth` for a sign-in.
    pub fn user_auth(&self, socket_id: &str, user_data: &str) -> String {
        format!("{}:{}", self.key, signature::user_auth(&self.signer(), socket_id, user_data))
    }

    /// What signs.
    pub fn signer(&self) -> Secret {
        Secret::new(self.secret).unwrap()
    }
}
