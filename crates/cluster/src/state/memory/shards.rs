//! Many small locks in place of a large one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

/// Enough that the cores of a large machine rarely meet, few enough that visiting all is quick.
pub(super) const SHARDS: usize = 64;

/// Collections per application, spread over locks by the hash of the application and of what is looked up.
///
/// Whatever happens to one (application, item) pair happens under one lock, hence atomically. An application
/// is forgotten with its last item.
pub(super) struct Shards<T> {
    /// Randomly keyed, so that nobody can choose names that meet in one shard.
    hasher: RandomState,
    shards: Box<[Shard<T>]>,
}

/// Aligned to a cache line, so that taking one lock does not slow its neighbour's.
#[repr(align(64))]
struct Shard<T>(Mutex<HashMap<Arc<str>, T>>);

impl<T: Collection> Shards<T> {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Shard(Mutex::default())).collect();
        Self { hasher: RandomState::new(), shards }
    }

    /// Runs `f` on the application's collection in the item's shard, which is made where there is none.
    pub(super) fn write<R>(&self, app: &str, item: impl Hash, f: impl FnOnce(&mut T) -> R) -> R {
        let mut apps = self.shard(app, item).0.lock();
        if let Some(collection) = apps.get_mut(app) {
            let result = f(collection);
            if collection.is_empty() {
                apps.remove(app);
            }
            return result;
        }
        let mut collection = T::default();
        let result = f(&mut collection);
        if !collection.is_empty() {
            apps.insert(app.into(), collection);
        }
        result
    }

    /// Runs `f` on the application's collection in the item's shard, if there is one.
    pub(super) fn read<R>(&self, app: &str, item: impl Hash, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.shard(app, item).0.lock().get(app).map(f)
    }

    /// Runs `f` on the application's collection in the shard of this number, if there is one.
    pub(super) fn read_nth<R>(&self, nth: usize, app: &str, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.shards[nth % SHARDS].0.lock().get(app).map(f)
    }

    fn shard(&self, app: &str, item: impl Hash) -> &Shard<T> {
        let hash = self.hasher.hash_one((app, item));
        &self.shards[hash as usize % SHARDS]
    }
}

/// What a shard holds for an application.
pub(super) trait Collection: Default {
    fn is_empty(&self) -> bool;
}

impl<K, V> Collection for BTreeMap<K, V> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Collection for HashMap<K, V> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Collection for HashSet<T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}
