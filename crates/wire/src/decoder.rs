//! The incoming side of RFC 6455, without I/O: bytes of a client in, events out.

use crate::Limits;
use header::{HEADER_BYTES_MAX, Header, Opcode, unmask};
use message::Message;
pub use violation::Violation;

mod header;
mod message;
mod violation;

/// Turns a client's bytes into events.
///
/// Bytes may arrive in any split; the events are the same. Between messages a decoder owns no memory, and a
/// message that lies whole in the input is unmasked and handed out there, without a copy. No input makes it
/// panic, and it never holds more than the bounds of [`Limits`] and one control frame.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Present only in the middle of a frame or of a fragmented message.
    partial: Option<Box<Partial>>,
}

/// What a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A fragment that is not the last of its message; the payload comes with the message.
    Fragment,
    /// A ping, to be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The client closes; nothing after it counts.
    Close {
        /// The client's code, where it gave one.
        code: Option<u16>,
        /// The client's reason, often empty.
        reason: &'a str,
    },
}

/// What a step of decoding took and found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Bytes taken off the front of the input. The next step gets the rest.
    pub consumed: usize,
    /// What they ended; without an event all the input is taken.
    pub event: Option<Event<'a>>,
}

#[derive(Debug, Default)]
struct Partial {
    /// The beginning of a header, of which the end is missing.
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    frame: Option<Frame>,
    /// The payload of a control frame, which may come between the fragments of a message.
    control: Vec<u8>,
    message: Option<Message>,
    /// What the last step handed out, to be dropped by the next.
    handed_out: Option<Place>,
}

/// A frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    is_final: bool,
    mask: [u8; 4],
    /// Bytes of payload already taken.
    taken: usize,
    /// Bytes of payload still to come.
    left: usize,
}

/// Where the payload of a whole event lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the input, up to the end of what was consumed.
    Input {
        from: usize,
    },
    Control,
    Message,
    /// Nowhere: a fragment.
    Nothing,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the stream is between two messages, and the decoder without memory of its own.
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Decodes up to the next event. The input is unmasked in place; what was consumed must not be decoded again.
    ///
    /// # Errors
    ///
    /// A [`Violation`], after which the stream has no meaning and must be closed with the violation's code.
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8], limits: &Limits) -> Result<Decoded<'a>, Violation> {
        self.release();
        let (consumed, found) = self.advance(input, limits)?;
        let Some((opcode, place)) = found else { return Ok(Decoded { consumed, event: None }) };
        let payload: &'a [u8] = match (place, self.partial.as_deref()) {
            (Place::Input { from }, _) => &input[from..consumed],
            (Place::Control, Some(partial)) => &partial.control,
            (Place::Message, Some(Partial { message: Some(message), .. })) => message.bytes(),
            _ => &[],
        };
        let event = match place {
            Place::Nothing => Event::Fragment,
            _ => event(opcode, payload)?,
        };
        Ok(Decoded { consumed, event: Some(event) })
    }

    /// Frees the payload of the event that was handed out last. The next step does the same; this is for a stream
    /// that now waits.
    pub fn release(&mut self) {
        let Some(partial) = &mut self.partial else { return };
        match partial.handed_out.take() {
            Some(Place::Control) => partial.control = Vec::new(),
            Some(Place::Message) => partial.message = None,
            _ => {}
        }
        if partial.header_len == 0 && partial.frame.is_none() && partial.message.is_none() {
            self.partial = None;
        }
    }

    /// Takes at most one frame; answers what it took and the whole event that it ended.
    fn advance(
        &mut self,
        input: &mut [u8],
        limits: &Limits,
    ) -> Result<(usize, Option<(Opcode, Place)>), Violation> {
        let partial_frame = self.partial.as_mut().and_then(|partial| partial.frame.take());
        let (mut frame, from, is_new) = match partial_frame {
            Some(frame) => (frame, 0, false),
            None => match self.take_header(input)? {
                Some((header, consumed)) => (self.begin(&header, limits)?, consumed, true),
                None => return Ok((input.len(), None)),
            },
        };
        let available = frame.left.min(input.len() - from);
        let end = from + available;
        let payload = &mut input[from..end];
        unmask(payload, frame.mask, frame.taken);
        let is_whole = is_new && available == frame.left;
        if is_whole && (frame.opcode.is_control() || (frame.is_final && frame.opcode != Opcode::Continuation))
        {
            return Ok((end, Some((frame.opcode, Place::Input { from }))));
        }
        frame.taken += available;
        frame.left -= available;
        let found = self.append(frame, payload)?;
        Ok((end, found))
    }

    /// The next header and the bytes it took of the input; the beginning of one is kept.
    fn take_header(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let kept = self.partial.as_ref().map_or(0, |partial| partial.header_len);
        if kept == 0
            && let Some(found) = Header::parse(input)?
        {
            return Ok(Some(found));
        }
        if input.is_empty() {
            return Ok(None);
        }
        let partial = self.partial.get_or_insert_default();
        let added = input.len().min(HEADER_BYTES_MAX - kept);
        partial.header[kept..kept + added].copy_from_slice(&input[..added]);
        match Header::parse(&partial.header[..kept + added])? {
            Some((header, length)) => {
                partial.header_len = 0;
                Ok(Some((header, length - kept)))
            }
            None => {
                partial.header_len = kept + added;
                Ok(None)
            }
        }
    }

    /// Judges a header by what came before it, so that an oversized frame is refused before it is buffered.
    fn begin(&mut self, header: &Header, limits: &Limits) -> Result<Frame, Violation> {
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        if !header.opcode.is_control() {
            let (begun, fragments) = match (header.opcode, message) {
                (Opcode::Continuation, Some(message)) => (message.bytes().len(), message.fragments()),
                (Opcode::Continuation, None) => return Err(Violation::ContinuationOfNothing),
                (_, Some(_)) => return Err(Violation::MessageInsideMessage),
                (_, None) => (0, 0),
            };
            if limits.fragments_max != 0 && fragments >= limits.fragments_max {
                return Err(Violation::TooManyFragments);
            }
            let left_for_message = limits.message_bytes_max.saturating_sub(begun);
            if header.length > limits.frame_bytes_max.min(left_for_message) as u64 {
                return Err(Violation::MessageTooBig);
            }
        }
        let left = usize::try_from(header.length).map_err(|_| Violation::MessageTooBig)?;
        Ok(Frame { opcode: header.opcode, is_final: header.is_final, mask: header.mask, taken: 0, left })
    }

    /// Keeps a part of a payload that is not whole in the input.
    fn append(&mut self, frame: Frame, payload: &[u8]) -> Result<Option<(Opcode, Place)>, Violation> {
        let partial = self.partial.get_or_insert_default();
        let ended = frame.left == 0;
        if frame.opcode.is_control() {
            partial.control.extend_from_slice(payload);
            let found = ended.then_some((frame.opcode, Place::Control));
            return Ok(partial.keep(frame, found));
        }
        let message = partial.message.get_or_insert_with(|| Message::new(frame.opcode));
        message.extend(payload)?;
        let opcode = message.opcode();
        let found = match (ended, frame.is_final) {
            (false, _) => None,
            (true, false) => {
                message.count_fragment();
                Some((opcode, Place::Nothing))
            }
            (true, true) => Some((opcode, Place::Message)),
        };
        Ok(partial.keep(frame, found))
    }
}

impl Partial {
    /// Keeps the frame until it has ended, then remembers what is handed out.
    fn keep(&mut self, frame: Frame, found: Option<(Opcode, Place)>) -> Option<(Opcode, Place)> {
        match found {
            Some((_, place)) => self.handed_out = Some(place),
            None => self.frame = Some(frame),
        }
        found
    }
}

fn event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match opcode {
        Opcode::Text => {
            let text = simdutf8::basic::from_utf8(payload).map_err(|_| Violation::TextNotUtf8)?;
            Ok(Event::Text(text))
        }
        // A continuation's event carries the opcode of its message.
        Opcode::Binary | Opcode::Continuation => Ok(Event::Binary(payload)),
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        Opcode::Close => close(payload),
    }
}

/// RFC 6455, sections 5.5.1 and 7.4.
fn close(payload: &[u8]) -> Result<Event<'_>, Violation> {
    let (code, reason) = match payload {
        [] => (None, &[][..]),
        [_] => return Err(Violation::CloseTooShort),
        [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
    };
    if let Some(code) = code
        && !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    {
        return Err(Violation::CloseCode(code));
    }
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
    Ok(Event::Close { code, reason })
}

#[cfg(test)]
mod tests;
