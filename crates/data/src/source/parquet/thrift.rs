//! Reads the few fields of Thrift structs (compact protocol) that bound the size of a Parquet file, before the Parquet
//! library allocates what the file claims.

/// Structs and lists inside of each other, at most.
const DEPTH_MAX: usize = 16;

/// The type of a field or an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    /// The value `false`: the type of a boolean field is its value.
    pub(super) const FALSE: Self = Self(2);
    pub(super) const LIST: Self = Self(9);
    pub(super) const STRUCT: Self = Self(12);

    /// Whether it is an integer of 16, 32 or 64 bits.
    pub(super) fn is_integer(self) -> bool {
        matches!(self.0, 4..=6)
    }
}

/// A position in bytes of the compact protocol. A read beyond the end, or of invalid bytes, gives `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
}

impl<'a> Compact<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The number of bytes that were not read.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    fn take(&mut self, length: u64) -> Option<()> {
        self.bytes = self.bytes.split_at_checked(usize::try_from(length).ok()?)?.1;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// An integer of any size.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The length and the type of the elements of a list. Each element takes at least a byte, so a longer list is invalid.
    pub(super) fn list(&mut self) -> Option<(u64, Kind)> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        (length <= self.bytes.len() as u64).then_some((length, Kind(head & 0xf)))
    }

    /// Calls `field` with the number and the type of each field of a struct. The call reads the value or skips it.
    pub(super) fn each_field(&mut self, mut field: impl FnMut(&mut Self, i64, Kind) -> Option<()>) -> Option<()> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.integer()?,
                delta => id + i64::from(delta),
            };
            field(self, id, Kind(head & 0xf))?;
        }
    }

    /// Skips the value of a field.
    pub(super) fn skip(&mut self, kind: Kind) -> Option<()> {
        match kind {
            // The type of a boolean field is its value.
            Kind(1 | 2) => Some(()),
            kind => self.skip_element(kind, 0),
        }
    }

    fn skip_element(&mut self, kind: Kind, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match kind.0 {
            1..=3 => self.take(1),
            4..=6 => self.varint().map(drop),
            7 => self.take(8),
            8 => {
                let length = self.varint()?;
                self.take(length)
            }
            9 | 10 => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(kind, depth + 1))
            }
            11 => {
                let length = self.varint()?;
                if length == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..length).try_for_each(|_| {
                    self.skip_element(Kind(kinds >> 4), depth + 1)?;
                    self.skip_element(Kind(kinds & 0xf), depth + 1)
                })
            }
            12 => self.each_field(|fields, _, kind| match kind {
                Kind(1 | 2) => Some(()),
                kind => fields.skip_element(kind, depth + 1),
            }),
            _ => None,
        }
    }
}
