//! Takes integers and byte strings off the front of a slice, and never more than there is.

use super::{FORMAT, WireError};

/// What is left of a message.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// Starts after the magic and the format of a message, which must be `magic` and [`FORMAT`].
    pub(super) fn open(bytes: &'b [u8], magic: &[u8; 4], name: &'static str) -> Result<Self, WireError> {
        let mut reader = Self { rest: bytes };
        if reader.take(4)? != magic {
            return Err(WireError::Magic(name));
        }
        match reader.u16()? {
            FORMAT => Ok(reader),
            found => Err(WireError::Format { found }),
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'b [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length-prefixed byte string.
    pub(super) fn bytes(&mut self) -> Result<&'b [u8], WireError> {
        let length = usize::try_from(self.u32()?).map_err(|_| WireError::TooLarge("length"))?;
        self.take(length)
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The message must end here.
    pub(super) fn close(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(WireError::Trailing(more)),
        }
    }
}

/// Starts a message.
pub(super) fn header(magic: &[u8; 4]) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out
}

/// Appends a length-prefixed byte string.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireError> {
    let length = u32::try_from(bytes.len()).map_err(|_| WireError::TooLarge("length"))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}
