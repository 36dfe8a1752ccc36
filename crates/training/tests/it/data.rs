//! Deterministic synthetic rows.

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use perennial_training::Target;

/// A stream of pseudo-random numbers from 0 (inclusive) to 1 (exclusive), xorshift64*.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() * limit as f64) as u64
    }
}

/// Features of every kind, and the signal from which targets derive.
pub(crate) struct Rows {
    pub(crate) frame: Frame,
    pub(crate) signal: Vec<f64>,
}

/// Generates rows: number columns with and without missing values, whole numbers, large numbers,
/// a constant column and an empty one; text columns of few and of many values (some rare), with
/// missing and empty ones. With `unseen`, some texts and numbers are outside the usual range.
pub(crate) fn rows(count: usize, seed: u64, unseen: bool) -> Rows {
    let mut noise = Noise(seed);
    let (mut numbers, mut texts) = (vec![Vec::new(); 6], vec![Vec::new(); 3]);
    let mut signal = Vec::new();
    for _ in 0..count {
        let (x, hour, gust) = (noise.next() * 4.0 - 2.0, noise.below(24) as f64, noise.next() * 30.0);
        let blown = noise.next() < 0.7;
        let carrier = noise.below(5);
        let tail = (noise.next().powi(3) * 600.0) as u64;
        let mood = noise.below(4);
        let strange = unseen && noise.next() < 0.2;
        numbers[0].push(if strange { x * 1e6 } else { x });
        numbers[1].push(hour);
        numbers[2].push(if blown { f64::NAN } else { gust });
        numbers[3].push(1.37e9 + 86_400.0 * noise.next() * 100.0);
        numbers[4].push(if strange && noise.next() < 0.5 { f64::NAN } else { 7.0 });
        numbers[5].push(f64::NAN);
        texts[0].push(Some(if strange {
            format!("new {carrier}")
        } else {
            ["AA", "B6", "ü", "a b", "\"q\""][carrier as usize].to_owned()
        }));
        texts[1].push(Some(format!("N{tail}")));
        texts[2].push(["fine", "", "foul"].get(mood as usize).map(|&mood| mood.to_owned()));
        let wind = if blown { 0.0 } else { gust / 15.0 };
        signal.push(
            x.sin() * 2.0 + (hour / 4.0).cos() + wind + carrier as f64 * 0.4 - mood as f64 * 0.3 + tail as f64 / 400.0
                - 2.0,
        );
    }
    let mut frame = Frame::new();
    for (name, values) in ["x", "hour", "gust", "time", "fixed", "never"].into_iter().zip(numbers) {
        frame.push(name, Column::Number(values));
    }
    for (name, values) in ["carrier", "tail", "mood"].into_iter().zip(texts) {
        frame.push(name, Column::Text(TextColumn::encode(values.iter().map(Option::as_deref))));
    }
    Rows { frame, signal }
}

impl Rows {
    /// 1 where signal plus noise is positive.
    pub(crate) fn binary(&self) -> Target {
        let mut noise = Noise(77);
        Target::Binary(self.signal.iter().map(|s| f64::from(u8::from(s + noise.next() * 2.0 - 1.0 > 0.0))).collect())
    }

    /// Four classes; the last occurs in no row.
    pub(crate) fn classes(&self) -> Target {
        let mut noise = Noise(78);
        let codes = self.signal.iter().map(|s| ((s + noise.next() + 1.5).clamp(0.0, 2.9)) as u32).collect();
        Target::Classes { codes, classes: ["low", "middle", "high", "never"].map(String::from).to_vec() }
    }

    /// The signal plus noise.
    pub(crate) fn numbers(&self) -> Target {
        let mut noise = Noise(79);
        Target::Numbers(self.signal.iter().map(|s| 300.0 + 50.0 * (s + noise.next())).collect())
    }
}

/// The greatest difference of two predictions; relative for values above 1.
pub(crate) fn max_distance(expected: &Scores, actual: &[Vec<f64>]) -> f64 {
    assert_eq!(expected.rows(), actual.len());
    let pairs = actual.iter().enumerate().flat_map(|(row, actual)| {
        assert_eq!(actual.len(), expected.width);
        expected.row(row).iter().zip(actual)
    });
    pairs.map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f64::max)
}
