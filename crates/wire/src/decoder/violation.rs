//! What a client can do wrong, and how it is told.

/// A breach of RFC 6455 or of the limits. Its text is the reason of the close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A client must mask its frames (section 5.1).
    #[error("frame is not masked")]
    Unmasked,
    /// No extension was agreed on that gives them a meaning (section 5.2).
    #[error("reserved bits are set without an extension")]
    ReservedBits,
    /// An opcode that section 5.2 reserves.
    #[error("unknown opcode {0}")]
    Opcode(u8),
    /// A control frame without the final bit (section 5.5).
    #[error("control frame is fragmented")]
    ControlFragmented,
    /// A control frame with more than 125 bytes (section 5.5).
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A 64-bit length with its highest bit set (section 5.2).
    #[error("frame length has its highest bit set")]
    Length,
    /// A continuation with no message begun (section 5.4).
    #[error("continuation of no message")]
    ContinuationOfNothing,
    /// A new message before the last one ended (section 5.4).
    #[error("new message inside a fragmented one")]
    MessageInsideMessage,
    /// A close of one byte (section 5.5.1).
    #[error("close payload of one byte")]
    CloseTooShort,
    /// A close code that must not be sent (section 7.4).
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
    /// A close reason that is not UTF-8.
    #[error("close reason is not UTF-8")]
    CloseReasonNotUtf8,
    /// A text message that is not UTF-8 (section 8.1).
    #[error("text message is not UTF-8")]
    TextNotUtf8,
    /// A frame or message over the limit.
    #[error("message is too big")]
    MessageTooBig,
    /// A message in more frames than the limit.
    #[error("message has too many fragments")]
    TooManyFragments,
}

impl Violation {
    /// The close code for it (RFC 6455, section 7.4.1).
    pub fn code(self) -> u16 {
        match self {
            Self::Unmasked
            | Self::ReservedBits
            | Self::Opcode(_)
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::Length
            | Self::ContinuationOfNothing
            | Self::MessageInsideMessage
            | Self::CloseTooShort
            | Self::CloseCode(_) => 1002,
            Self::CloseReasonNotUtf8 | Self::TextNotUtf8 => 1007,
            Self::TooManyFragments => 1008,
            Self::MessageTooBig => 1009,
        }
    }
}
