//! One read buffer per thread, lent to the connection whose turn it is.
//!
//! A connection has the buffer while it runs and gives it back before it waits, so that ten thousand idle
//! connections hold none.

use std::cell::Cell;

/// What one read can take at most: large enough that a busy client costs few system calls.
pub(crate) const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static READ: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// This thread's buffer, or a fresh one where it is lent or the thread is ending.
pub(crate) fn take() -> Box<[u8]> {
    let lent = READ.try_with(Cell::take).ok().flatten();
    lent.unwrap_or_else(|| vec![0; READ_BYTES].into_boxed_slice())
}

/// Gives a buffer back, to whichever thread this is.
pub(crate) fn give(buffer: Box<[u8]>) {
    let _ending_thread = READ.try_with(|slot| slot.set(Some(buffer)));
}
