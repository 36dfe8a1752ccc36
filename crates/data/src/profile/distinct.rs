//! Approximate number of distinct values: HyperLogLog (Flajolet et al. 2007) with the small-range
//! correction by linear counting. 2^14 registers, standard error 0.8 %.

const BITS: u32 = 14;
const REGISTERS: usize = 1 << BITS;

/// A sketch of a set of values.
#[derive(Debug, Clone)]
pub(super) struct Distinct {
    registers: Option<Box<[u8; REGISTERS]>>,
}

impl Distinct {
    pub(super) fn new() -> Self {
        Self { registers: None }
    }

    /// Observes a value as bytes.
    pub(super) fn observe(&mut self, value: &[u8]) {
        self.observe_hash(hash(value));
    }

    /// Observes a value as a number.
    pub(super) fn observe_u64(&mut self, value: u64) {
        self.observe_hash(mix(value.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    }

    fn observe_hash(&mut self, hash: u64) {
        let registers = self.registers.get_or_insert_with(|| Box::new([0; REGISTERS]));
        let index = (hash >> (64 - BITS)) as usize;
        let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        registers[index] = registers[index].max(rank);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut self.registers, &other.registers) {
            (_, None) => {}
            (own @ None, Some(other)) => *own = Some(other.clone()),
            (Some(own), Some(other)) => {
                for (register, other) in own.iter_mut().zip(other.iter()) {
                    *register = (*register).max(*other);
                }
            }
        }
    }

    pub(super) fn estimate(&self) -> u64 {
        let Some(registers) = &self.registers else { return 0 };
        let count = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|&rank| 2_f64.powi(-i32::from(rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty: f64 = registers.iter().map(|&rank| f64::from(u8::from(rank == 0))).sum();
        let estimate = if raw <= 2.5 * count && empty > 0.0 { count * (count / empty).ln() } else { raw };
        estimate.round() as u64
    }
}

/// The finaliser of MurmurHash3.
fn mix(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

fn hash(value: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ value.len() as u64;
    for chunk in value.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    mix(state)
}
