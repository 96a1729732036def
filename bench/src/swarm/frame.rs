//! The client's side of a WebSocket: reading whole frames out of bytes, writing masked ones.
//!
//! Only what a measured server sends: unmasked frames that are not fragmented.

/// A whole frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    /// Bytes that the frame took, its head included.
    pub(super) size: usize,
}

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Frame(Frame<'a>),
    Incomplete,
    /// Masked or fragmented: not a server that this can measure.
    Foreign,
}

pub(super) fn next(bytes: &[u8]) -> Next<'_> {
    let [first, second, ..] = *bytes else { return Next::Incomplete };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Next::Foreign;
    }
    let (head, length) = match second {
        126 => match bytes.get(2..4) {
            Some(field) => (4, u64::from(u16::from_be_bytes([field[0], field[1]]))),
            None => return Next::Incomplete,
        },
        127 => match bytes.get(2..10).and_then(|field| <[u8; 8]>::try_from(field).ok()) {
            Some(field) => (10, u64::from_be_bytes(field)),
            None => return Next::Incomplete,
        },
        short => (2, u64::from(short)),
    };
    let Ok(length) = usize::try_from(length) else { return Next::Foreign };
    match bytes.get(head..head + length) {
        Some(payload) => Next::Frame(Frame { opcode: first & 0x0f, payload, size: head + length }),
        None => Next::Incomplete,
    }
}

/// Appends a frame masked with zeros, which leaves the payload as it is.
pub(super) fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    if payload.len() < 126 {
        out.push(0x80 | u8::try_from(payload.len()).unwrap_or(0));
    } else {
        out.push(0x80 + 126);
        out.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    out.extend([0; 4]);
    out.extend(payload);
}

/// A server's frame, for the write loop that knows no protocol.
pub(crate) fn server_text(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | TEXT];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(u8::try_from(length).unwrap_or(0)),
        Ok(length) => {
            out.push(126);
            out.extend(length.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_only_when_it_is_whole() {
        for size in [5, 125, 126, 300, 70_000] {
            let bytes = server_text(&vec![b'x'; size]);
            assert_eq!(next(&bytes[..bytes.len() - 1]), Next::Incomplete);
            let Next::Frame(frame) = next(&bytes) else { panic!("{size}") };
            assert_eq!((frame.payload.len(), frame.size), (size, bytes.len()));
        }
    }

    #[test]
    fn a_masked_frame_is_foreign() {
        let mut bytes = Vec::new();
        push_masked(&mut bytes, PONG, b"x");
        assert_eq!(next(&bytes), Next::Foreign);
    }
}
