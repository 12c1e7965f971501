//! All applications of a server.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{App, AppId, Key, KeyPair};

#[cfg(test)]
mod tests;

/// The registry of applications: built once, then only read.
#[derive(Debug, Default)]
pub struct Apps {
    apps: Vec<Arc<App>>,
    by_id: HashMap<Arc<str>, usize>,
    by_key: HashMap<Key, (usize, usize)>,
}

/// Why a set of applications can't be served together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppsError {
    /// Two have one id.
    #[error("two applications have the id '{0}'; each needs its own")]
    DuplicateId(AppId),
    /// A key is there twice, in one application or in two.
    #[error("the key '{0}' is there twice; each key pair needs its own")]
    DuplicateKey(Key),
    /// An application has no key that is not disabled.
    #[error("the application '{0}' has no active key; give it one, or disable the application")]
    NoActiveKey(AppId),
}

// === impl Apps ===

impl Apps {
    /// A registry of these applications.
    ///
    /// # Errors
    /// An id or a key is there twice, or an enabled application has no active key.
    pub fn new(apps: Vec<App>) -> Result<Self, AppsError> {
        let mut registry = Self::default();
        for app in apps {
            registry.add(app)?;
        }
        Ok(registry)
    }

    /// Adds one more.
    ///
    /// # Errors
    /// Its id or one of its keys is there already, or it is enabled and has no active key. Nothing was added then.
    pub fn add(&mut self, app: App) -> Result<(), AppsError> {
        if self.by_id.contains_key(app.id.as_str()) {
            return Err(AppsError::DuplicateId(app.id));
        }
        let is_known = |at: usize, key: &Key| {
            self.by_key.contains_key(key) || app.keys[..at].iter().any(|earlier| earlier.key == *key)
        };
        if let Some((_, pair)) = app.keys.iter().enumerate().find(|(at, pair)| is_known(*at, &pair.key)) {
            return Err(AppsError::DuplicateKey(pair.key.clone()));
        }
        if app.enabled && app.webhook_key_pair().is_none() {
            return Err(AppsError::NoActiveKey(app.id));
        }
        let app_at = self.apps.len();
        self.by_id.insert(app.id.shared(), app_at);
        for (pair_at, pair) in app.keys.iter().enumerate() {
            self.by_key.insert(pair.key.clone(), (app_at, pair_at));
        }
        self.apps.push(Arc::new(app));
        Ok(())
    }

    /// The application of an id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<App>> {
        self.by_id.get(id).map(|&at| &self.apps[at])
    }

    /// The application of a key, and the key's pair. Disabled pairs are not found; disabled applications are, so
    /// that a client can be told.
    pub fn by_key(&self, key: &str) -> Option<(&Arc<App>, &KeyPair)> {
        let &(app_at, pair_at) = self.by_key.get(key)?;
        let app = &self.apps[app_at];
        let pair = &app.keys[pair_at];
        (!pair.disabled).then_some((app, pair))
    }

    /// All of them, in the order they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<App>> {
        self.apps.iter()
    }
}
