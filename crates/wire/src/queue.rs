//! The frames that wait to be written to one client.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Below this many bytes, one copy into a contiguous buffer is cheaper than a list of slices for the kernel.
const COALESCE_BYTES_MAX: usize = 16 * 1024;

/// Slices handed to the kernel at once; more than this gains nothing and IOV_MAX is 1,024.
const SLICES_MAX: usize = 64;

/// What a queued frame costs beside its bytes.
const FRAME_OVERHEAD_BYTES: usize = size_of::<Bytes>();

thread_local! {
    static COALESCE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A first-in first-out queue of encoded frames, the first of which may be partly written.
///
/// The first frame is held inline: a delivery that is written at once allocates nothing, and an empty queue
/// holds no memory of its own.
#[derive(Default)]
pub(crate) struct Queue {
    head: Option<Bytes>,
    /// Bytes of `head` that are written.
    head_written: usize,
    rest: VecDeque<Bytes>,
    /// Bytes not yet written, of all frames.
    bytes: usize,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Bytes that are not yet written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the first frame is partly on the wire, so that nothing may be put in front of its end.
    pub(crate) fn is_inside_frame(&self) -> bool {
        self.head_written > 0
    }

    /// Whether a frame of `length` bytes may be queued under a bound of `max` bytes. An empty queue takes any frame: a client
    /// that reads everything is not slow, however large a single message is.
    pub(crate) fn fits(&self, length: usize, max: usize) -> bool {
        if self.bytes == 0 {
            return true;
        }
        let frames = self.rest.len() + usize::from(self.head.is_some()) + 1;
        let cost = frames.saturating_mul(FRAME_OVERHEAD_BYTES).saturating_add(self.bytes);
        cost.saturating_add(length) <= max
    }

    pub(crate) fn push_back(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        match self.head {
            None => self.head = Some(frame),
            Some(_) => self.rest.push_back(frame),
        }
    }

    /// Puts a frame in front of all others. The first must not be partly written.
    pub(crate) fn push_front(&mut self, frame: Bytes) {
        debug_assert!(!self.is_inside_frame(), "a frame in the middle of another breaks the stream");
        self.bytes += frame.len();
        if let Some(second) = self.head.replace(frame) {
            self.rest.push_front(second);
        }
    }

    /// Calls `write` with what should be written next, in as few slices as is cheap. The queue is not empty.
    pub(crate) fn with_next<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let head = self.head.as_deref().unwrap_or_default();
        let head = &head[self.head_written..];
        if self.rest.is_empty() {
            return write(&[IoSlice::new(head)]);
        }
        let first: usize = self.rest.iter().take(SLICES_MAX - 1).map(Bytes::len).sum();
        if head.len() + first <= COALESCE_BYTES_MAX {
            self.with_copy(head, write)
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            slices[0] = IoSlice::new(head);
            for (slice, frame) in slices[1..].iter_mut().zip(&self.rest) {
                *slice = IoSlice::new(frame);
            }
            let count = SLICES_MAX.min(1 + self.rest.len());
            write(&slices[..count])
        }
    }

    fn with_copy<R>(&self, head: &[u8], write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut copy = COALESCE.try_with(Cell::take).unwrap_or_default();
        copy.clear();
        copy.reserve(COALESCE_BYTES_MAX);
        copy.extend_from_slice(head);
        for frame in &self.rest {
            if copy.len() + frame.len() > COALESCE_BYTES_MAX {
                break;
            }
            copy.extend_from_slice(frame);
        }
        let result = write(&[IoSlice::new(&copy)]);
        let _ending_thread = COALESCE.try_with(|slot| slot.set(copy));
        result
    }

    /// Takes `written` bytes off the front; answers how many frames that ended.
    pub(crate) fn advance(&mut self, written: usize) -> usize {
        let mut left = written;
        let mut ended = 0;
        while let Some(head) = &self.head {
            let head_left = head.len() - self.head_written;
            if left < head_left {
                self.head_written += left;
                left = 0;
                break;
            }
            left -= head_left;
            ended += 1;
            self.head_written = 0;
            self.head = self.rest.pop_front();
        }
        self.bytes -= written - left;
        if self.rest.is_empty() {
            // An idle client keeps no allocation.
            self.rest = VecDeque::new();
        }
        ended
    }

    /// Drops every frame that has not been started.
    pub(crate) fn drop_unstarted(&mut self) {
        self.rest = VecDeque::new();
        if !self.is_inside_frame() {
            self.head = None;
        }
        self.bytes = self.head.as_ref().map_or(0, |head| head.len() - self.head_written);
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
