//! Error codes and close codes: the tables of `docs/protocol.md`.

/// Why a request was refused; the word stands in `error.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Not a request: binary, not JSON, an unknown type or field.
    BadMessage,
    /// A filter that cannot be read, or that cannot be answered exactly.
    BadFilter,
    /// A cursor that no gateway gave out.
    BadCursor,
    /// No token where one is needed, or one that is not accepted.
    Unauthorized,
    /// The table does not exist, is not watched, or may not be read: one answer for all.
    Forbidden,
    /// No such path, or no such subscription.
    NotFound,
    /// The subscription's id is in use on this connection.
    DuplicateId,
    /// A message over the size limit.
    TooLarge,
    /// The gateway's or the address's connections are used up.
    TooManyConnections,
    /// The connection's subscriptions are used up.
    TooManySubscriptions,
    /// Messages come faster than the limit.
    TooManyMessages,
    /// The database cannot be reached, or everything is busy; try again.
    Unavailable,
}

impl Code {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::BadMessage => "bad_message",
            Self::BadFilter => "bad_filter",
            Self::BadCursor => "bad_cursor",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::DuplicateId => "duplicate_id",
            Self::TooLarge => "too_large",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooManyMessages => "too_many_messages",
            Self::Unavailable => "unavailable",
        }
    }

    /// The status of an HTTP answer.
    pub fn status(self) -> u16 {
        match self {
            Self::BadMessage | Self::BadFilter | Self::BadCursor => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::DuplicateId => 409,
            Self::TooLarge => 413,
            Self::TooManyConnections | Self::TooManySubscriptions | Self::TooManyMessages => 429,
            Self::Unavailable => 503,
        }
    }
}

/// Why the gateway closes a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client closed first; its close is answered.
    Normal,
    /// What came is no WebSocket frame, or not in its place.
    Protocol,
    /// A text frame that is not UTF-8.
    NotText,
    /// The gateway drains: come back with the cursor.
    GoingAway,
    /// A message over the size limit.
    TooLarge,
    /// Too many bad messages.
    BadMessages,
    /// No token where one is needed, a bad one, or one that ended.
    Unauthorized,
    /// The feed is not for this reader.
    Forbidden,
    /// The client does not read: come back with the cursor.
    TooSlow,
    /// A limit was passed.
    Limit,
}

impl Close {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::NotText => 1007,
            Self::GoingAway => 1001,
            Self::TooLarge => 1009,
            Self::BadMessages => 4400,
            Self::Unauthorized => 4401,
            Self::Forbidden => 4403,
            Self::TooSlow => 4408,
            Self::Limit => 4429,
        }
    }
}
