//! Where frames begin and end: their headers, byte by byte.

/// What begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A frame that controls the connection (§5.5).
    Control,
    /// Data: of text, binary, or a kind that is not defined yet.
    Data {
        /// Whether it goes on with a message.
        continues: bool,
        /// Whether the message ends with it.
        last: bool,
    },
}

impl Frame {
    const fn of(first: u8) -> Self {
        if first & 0x08 != 0 {
            return Self::Control;
        }
        Self::Data { continues: first & 0x0f == 0, last: first & 0x80 != 0 }
    }
}

/// Follows the frames of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameReader(State);

/// What the next byte is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// The first of a frame.
    #[default]
    Begin,
    /// The second: whether there is a mask, and how long the payload is.
    Length,
    /// One of `left` bytes of a longer length.
    Longer { masked: bool, left: u8, length: u64 },
    /// One of `left` bytes of the mask, before so much payload.
    Mask { left: u8, length: u64 },
    /// Payload, of which so much is to come.
    Payload(u64),
}

/// Bytes of a mask.
const MASK: u8 = 4;

impl FrameReader {
    /// The frame that begins with this byte; none while another one is under way.
    #[must_use]
    pub fn begins(&self, first: u8) -> Option<Frame> {
        self.is_between_frames().then(|| Frame::of(first))
    }

    /// Whether no frame is under way.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.0 == State::Begin
    }

    /// Takes bytes up to the end of the frame. Says how many.
    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some((first, others)) = rest.split_first() {
            if let State::Payload(_) = self.0 {
                let taken = self.skip(rest.len());
                rest = rest.get(taken..).unwrap_or_default();
            } else {
                self.0 = self.after(*first);
                rest = others;
            }
            if self.is_between_frames() {
                break;
            }
        }
        bytes.len().saturating_sub(rest.len())
    }

    /// Takes up to so many bytes of payload. Says how many; none outside of payload.
    pub fn skip(&mut self, bytes: usize) -> usize {
        let State::Payload(length) = self.0 else { return 0 };
        let taken = usize::try_from(length).unwrap_or(usize::MAX).min(bytes);
        self.0 = payload(length.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX)));
        taken
    }

    fn after(&self, byte: u8) -> State {
        match self.0 {
            State::Begin => State::Length,
            State::Length => {
                let masked = byte & 0x80 != 0;
                match byte & 0x7f {
                    126 => State::Longer { masked, left: 2, length: 0 },
                    127 => State::Longer { masked, left: 8, length: 0 },
                    length => after_length(masked, u64::from(length)),
                }
            }
            State::Longer { masked, left, length } => {
                let length = length << 8 | u64::from(byte);
                match left.saturating_sub(1) {
                    0 => after_length(masked, length),
                    left => State::Longer { masked, left, length },
                }
            }
            State::Mask { left, length } => match left.saturating_sub(1) {
                0 => payload(length),
                left => State::Mask { left, length },
            },
            State::Payload(length) => payload(length.saturating_sub(1)),
        }
    }
}

const fn after_length(masked: bool, length: u64) -> State {
    if masked { State::Mask { left: MASK, length } } else { payload(length) }
}

const fn payload(length: u64) -> State {
    if length == 0 { State::Begin } else { State::Payload(length) }
}
