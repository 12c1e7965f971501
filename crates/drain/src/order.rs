//! Who is closed first.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

#[cfg(test)]
mod tests;

/// Puts the ids into a random order, the same for the same seed.
pub fn random_order<T>(mut ids: Vec<T>, seed: u64) -> Vec<T> {
    ids.shuffle(&mut StdRng::seed_from_u64(seed));
    ids
}
