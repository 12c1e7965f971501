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

    /// The application of an id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<App>> {
        self.by_id.get(id).map(|&at| &self.apps[at])
    }

    /// The application of a key, and the key's pair. Disabled pairs are not found; disabled applications are, so
    /// that a client can be told.
    pub fn by_key(&self, key: &str) -> Option<(&Arc<App>, &KeyPair)> {
        let &(app_at, pair_at) = self.by_key.get(key)?;
        let app = &self.apps[app_at];
        Some((app, &app.keys[pair_at]))
    }

    /// All of them, in the order they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<App>> {
        self.apps.iter()
    }

    fn add(&mut self, app: App) -> Result<(), AppsError> {
        let app_at = self.apps.len();
        if self.by_id.insert(app.id.shared(), app_at).is_some() {
            return Err(AppsError::DuplicateId(app.id));
        }
        let mut keys_seen: Vec<&Key> = Vec::with_capacity(app.keys.len());
        for (pair_at, pair) in app.keys.iter().enumerate() {
            if keys_seen.contains(&&pair.key) {
                return Err(AppsError::DuplicateKey(pair.key.clone()));
            }
            keys_seen.push(&pair.key);
            if pair.disabled {
                continue;
            }
            if self.by_key.insert(pair.key.clone(), (app_at, pair_at)).is_some() {
                return Err(AppsError::DuplicateKey(pair.key.clone()));
            }
        }
        if app.enabled && app.webhook_key_pair().is_none() {
            return Err(AppsError::NoActiveKey(app.id));
        }
        self.apps.push(Arc::new(app));
        Ok(())
    }
}
