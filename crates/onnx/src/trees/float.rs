//! The floating-point types of thresholds.

use std::fmt::Debug;
use std::ops::{Add, Neg};

/// A 32- or 64-bit float.
pub(super) trait Float:
    Copy + Debug + Default + PartialOrd + Add<Output = Self> + Neg<Output = Self> + Send + Sync + 'static
{
    const NAN: Self;
    const ONE: Self;
    const INFINITY: Self;
    const NEG_INFINITY: Self;

    fn is_nan(self) -> bool;
    /// The next smaller number.
    fn next_down(self) -> Self;
    fn from_f32(value: f32) -> Self;
    fn from_f64(value: f64) -> Self;
    fn from_i64(value: i64) -> Self;
    fn to_f64(self) -> f64;
    /// A number whose bits are `index`; it is stored but never used in arithmetic.
    fn from_index(index: u32) -> Self;
    /// The index given to [`Self::from_index`].
    fn index(self) -> u32;
}

macro_rules! float {
    ($type:ident, $bits:ty) => {
        impl Float for $type {
            const NAN: Self = Self::NAN;
            const ONE: Self = 1.0;
            const INFINITY: Self = Self::INFINITY;
            const NEG_INFINITY: Self = Self::NEG_INFINITY;

            fn is_nan(self) -> bool {
                self.is_nan()
            }

            fn next_down(self) -> Self {
                self.next_down()
            }

            #[expect(clippy::allow_attributes, reason = "the cast is lossless for one of the two types only")]
            #[allow(clippy::cast_lossless, reason = "the same macro serves both types")]
            fn from_f32(value: f32) -> Self {
                value as Self
            }

            fn from_f64(value: f64) -> Self {
                value as Self
            }

            fn from_i64(value: i64) -> Self {
                value as Self
            }

            #[expect(clippy::allow_attributes, reason = "the cast is lossless for one of the two types only")]
            #[allow(clippy::cast_lossless, reason = "the same macro serves both types")]
            fn to_f64(self) -> f64 {
                self as f64
            }

            fn from_index(index: u32) -> Self {
                Self::from_bits(<$bits>::from(index))
            }

            fn index(self) -> u32 {
                self.to_bits() as u32
            }
        }
    };
}

float!(f32, u32);
float!(f64, u64);
