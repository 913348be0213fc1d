//! Errors with stable codes.

use std::fmt;

/// Result of this crate's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of error it is; [`ErrorCode::as_str`] is the stable code that every language sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// An option is out of its range.
    InvalidOption,
    /// An argument has the wrong form.
    InvalidArgument,
    /// A symbol, exchange or name is empty, too long or holds control characters.
    InvalidSymbol,
    /// A numeric field is not what it must be.
    InvalidField,
    /// More depth levels than the ring has room for.
    BookTooDeep,
    /// A message is longer than the ring's messages may be.
    MessageTooLong,
    /// The topic table of the lane is full.
    TooManyTopics,
    /// The handle was closed.
    Closed,
    /// The segment's name cannot be used.
    ShmName,
    /// No segment of that name.
    ShmNotFound,
    /// A segment of that name exists with other options.
    ShmMismatch,
    /// The memory is not a segment of this library, or a corrupt one.
    ShmLayout,
    /// The segment was made by another format version.
    ShmVersion,
    /// The shared-memory file system is full.
    ShmFull,
    /// The segment belongs to somebody else.
    ShmPermission,
    /// Another process holds the segment's name for too long.
    ShmBusy,
    /// The operating system refused for another reason.
    ShmSystem,
    /// All lanes are taken by living publishers.
    NoFreeLane,
    /// All consumer records are taken by living subscribers.
    NoFreeConsumer,
}

impl ErrorCode {
    /// The stable code, for example `ERR_SHM_LAYOUT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidOption => "ERR_INVALID_OPTION",
            Self::InvalidArgument => "ERR_INVALID_ARGUMENT",
            Self::InvalidSymbol => "ERR_INVALID_SYMBOL",
            Self::InvalidField => "ERR_INVALID_FIELD",
            Self::BookTooDeep => "ERR_BOOK_TOO_DEEP",
            Self::MessageTooLong => "ERR_MESSAGE_TOO_LONG",
            Self::TooManyTopics => "ERR_TOO_MANY_TOPICS",
            Self::Closed => "ERR_CLOSED",
            Self::ShmName => "ERR_SHM_NAME",
            Self::ShmNotFound => "ERR_SHM_NOT_FOUND",
            Self::ShmMismatch => "ERR_SHM_MISMATCH",
            Self::ShmLayout => "ERR_SHM_LAYOUT",
            Self::ShmVersion => "ERR_SHM_VERSION",
            Self::ShmFull => "ERR_SHM_FULL",
            Self::ShmPermission => "ERR_SHM_PERMISSION",
            Self::ShmBusy => "ERR_SHM_BUSY",
            Self::ShmSystem => "ERR_SHM_SYSTEM",
            Self::NoFreeLane => "ERR_NO_FREE_LANE",
            Self::NoFreeConsumer => "ERR_NO_FREE_CONSUMER",
        }
    }
}

/// An error: a stable code, and a message that says what was found, what was expected and what to do. One
/// pointer wide, so that a publish returns its result in registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Content>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    code: ErrorCode,
    message: String,
}

impl Error {
    /// An error of this kind, with a message for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Content { code, message: message.into() }))
    }

    /// The kind of error.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code().as_str(), self.message())
    }
}

impl std::error::Error for Error {}
