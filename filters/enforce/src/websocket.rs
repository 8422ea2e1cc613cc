//! Frames of a WebSocket (RFC 6455 §5.2) as their bytes go by in pieces of any size: where one begins, whether it is data, and
//! what becomes of it.
//!
//! Keeps some numbers and no payload. Must never wait for more bytes, and never let a part of a message through whose rest
//! cannot follow.

mod reader;

pub use self::reader::{Frame, FrameReader};

/// What limits say to a frame of data that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It counts, and may pass.
    Pass,
    /// There is nothing left for it.
    Drop,
    /// That is not known yet: it will be asked for again.
    Wait,
}

/// What becomes of the next bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many go on, of a frame that does not count.
    Free(usize),
    /// So many go on, of a frame that counts.
    Counted(usize),
    /// So many go nowhere.
    Dropped(usize),
    /// The next one begins a frame that must wait.
    Wait,
    /// A part of a message has passed and the rest of it may not: the connection cannot be used any more.
    Broken,
}

/// One direction of a WebSocket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lane {
    reader: FrameReader,
    /// What becomes of the frame under way.
    fate: Fate,
    /// What became of the message under way, which has more frames to come.
    message: Option<Fate>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    /// Frames that control the connection always pass, and count for nothing, as in the original.
    #[default]
    Free,
    Counted,
    Dropped,
}

impl Lane {
    /// Takes bytes up to the end of the frame under way, or of the one that begins with them, which is judged first. The rest
    /// is for the next call.
    pub fn read(&mut self, bytes: &[u8], judge: impl FnOnce() -> Judgement) -> Step {
        if let Some(frame) = bytes.first().and_then(|first| self.reader.begins(*first)) {
            match self.begin(frame, judge) {
                Ok(fate) => self.fate = fate,
                Err(step) => return step,
            }
        }
        let taken = self.reader.read(bytes);
        self.step(taken)
    }

    /// Takes up to so many bytes of payload without a look at them; nothing when there must be a look at the next one.
    pub fn skip(&mut self, bytes: usize) -> Option<Step> {
        let taken = self.reader.skip(bytes);
        (taken > 0).then(|| self.step(taken))
    }

    /// Whether the next byte begins a frame.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.reader.is_between_frames()
    }

    const fn step(&self, taken: usize) -> Step {
        match self.fate {
            Fate::Free => Step::Free(taken),
            Fate::Counted => Step::Counted(taken),
            Fate::Dropped => Step::Dropped(taken),
        }
    }

    fn begin(&mut self, frame: Frame, judge: impl FnOnce() -> Judgement) -> Result<Fate, Step> {
        let Frame::Data { continues, last } = frame else { return Ok(Fate::Free) };
        let before = self.message.filter(|_| continues);
        let fate = match before {
            // Its beginning went nowhere, so nobody could make anything of the rest.
            Some(Fate::Dropped) => Fate::Dropped,
            _ => match (judge(), before) {
                (Judgement::Wait, _) => return Err(Step::Wait),
                (Judgement::Pass, _) => Fate::Counted,
                (Judgement::Drop, None) => Fate::Dropped,
                (Judgement::Drop, Some(_)) => return Err(Step::Broken),
            },
        };
        self.message = (!last).then_some(fate);
        Ok(fate)
    }
}

#[cfg(test)]
mod tests;
