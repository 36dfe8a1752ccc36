//! The binary tensor extension: raw little-endian values behind the JSON part.

use std::borrow::Cow;

use perennial_core::Result;
use perennial_core::frame::Column;

use super::tensor::{Datatype, encode, integers, refused, shown};

/// Splits a body into its JSON part and the raw tensors behind it.
pub(super) fn split(body: &[u8], json_bytes: Option<usize>) -> Result<(&[u8], &[u8])> {
    let Some(length) = json_bytes else { return Ok((body, &[])) };
    body.split_at_checked(length).ok_or_else(|| {
        refused(format!("`Inference-Header-Content-Length` says {length} bytes, the body has {}", body.len()))
    })
}

/// The raw bytes of the tensors, taken from the front one after the other.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> Raw<'a> {
    /// The next tensor's bytes.
    pub(super) fn take(&mut self, tensor: &str, size: u64) -> Result<&'a [u8]> {
        let missing = || refused(format!("input `{}` says {size} bytes, {} follow", shown(tensor), self.0.len()));
        let (taken, rest) =
            usize::try_from(size).ok().and_then(|size| self.0.split_at_checked(size)).ok_or_else(missing)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Refuses bytes that belong to no tensor.
    pub(super) fn finish(&self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(refused(format!("{} bytes at the end of the body belong to no input", self.0.len()))
            .with_hint("the sizes in `binary_data_size` must add up to the body's"))
    }
}

/// A raw tensor of `rows` elements as a column. Values need not be aligned.
pub(super) fn column(tensor: &str, datatype: Datatype, rows: usize, raw: &[u8]) -> Result<Column> {
    let Some(width) = datatype.width() else { return texts(tensor, rows, raw) };
    if rows.checked_mul(width) != Some(raw.len()) {
        return Err(refused(format!(
            "input `{}` has {} bytes, expected {rows} elements of {width}",
            shown(tensor),
            raw.len()
        )));
    }
    if let Datatype::Int(8) | Datatype::Uint(8) = datatype {
        let values = raw.chunks_exact(width).map(|element| match datatype {
            Datatype::Int(_) => i128::from(bits(element).cast_signed()),
            _ => i128::from(bits(element)),
        });
        return Ok(integers(&values.collect::<Vec<_>>()));
    }
    let mut values = Vec::with_capacity(rows);
    for (place, element) in raw.chunks_exact(width).enumerate() {
        values.push(number(tensor, datatype, place, element)?);
    }
    Ok(Column::Number(values))
}

/// Little-endian bytes as an unsigned integer.
fn bits(element: &[u8]) -> u64 {
    element.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

fn number(tensor: &str, datatype: Datatype, place: usize, element: &[u8]) -> Result<f64> {
    let bits = bits(element);
    Ok(match datatype {
        Datatype::Bool => match bits {
            0 | 1 => bits as f64,
            other => {
                return Err(refused(format!(
                    "element {place} of input `{}` is the byte {other}, expected 0 or 1 (BOOL)",
                    shown(tensor)
                )));
            }
        },
        Datatype::Int(width) => {
            let unused = 64 - 8 * width as u32;
            ((bits << unused).cast_signed() >> unused) as f64
        }
        Datatype::Uint(_) => bits as f64,
        Datatype::Fp16 => half(bits as u16),
        Datatype::Bf16 => f64::from(f32::from_bits((bits as u32) << 16)),
        Datatype::Fp32 => f64::from(f32::from_bits(bits as u32)),
        Datatype::Fp64 | Datatype::Bytes => f64::from_bits(bits),
    })
}

/// A 16-bit float of IEEE 754.
fn half(bits: u16) -> f64 {
    let (sign, exponent, fraction) = (f64::from(bits >> 15), i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    };
    if sign > 0.0 { -magnitude } else { magnitude }
}

/// Texts: each its length in four bytes, then its bytes.
fn texts(tensor: &str, rows: usize, raw: &[u8]) -> Result<Column> {
    let cut = |place: usize| refused(format!("the bytes of input `{}` end within element {place}", shown(tensor)));
    let mut rest = raw;
    let mut texts = Vec::with_capacity(rows.min(raw.len() / 4 + 1));
    for place in 0..rows {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(|| cut(place))?;
        let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| cut(place))?;
        let text = std::str::from_utf8(text)
            .map_err(|_| refused(format!("element {place} of input `{}` is not UTF-8", shown(tensor))))?;
        texts.push(Some(Cow::Borrowed(text)));
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(refused(format!(
            "input `{}` has {} bytes more than its {rows} elements",
            shown(tensor),
            rest.len()
        )));
    }
    Ok(Column::Text(encode(texts)))
}
