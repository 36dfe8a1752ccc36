//! The memory of results of functions.
//!
//! DataFusion counts what operators keep (hash tables, sorted rows), not the batch that an expression just made, which
//! may have any size. Results of bounded functions are counted here, before they are made and for as long as a part of
//! them is used. The count is apart from DataFusion's memory pool: an operator that keeps such a result counts it in
//! the pool, too, and can write it to disk there when the pool is used up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::Buffer;
use datafusion::common::{DataFusionError, Result};

/// The size up to which a result is not counted after it has been made, in bytes.
const SMALL_BYTES: u64 = 64 << 10;

/// The bytes that results of functions may occupy together.
#[derive(Debug, Clone)]
pub(in crate::sql) struct ResultMemory(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    used: AtomicU64,
    bytes_max: u64,
}

impl ResultMemory {
    /// Memory of `bytes_max`.
    pub(in crate::sql) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Counter { used: AtomicU64::new(0), bytes_max: bytes_max as u64 }))
    }

    /// The greatest size of all results together, in bytes.
    pub(in crate::sql) fn bytes_max(&self) -> u64 {
        self.0.bytes_max
    }

    /// Reserves `bytes` for a result of `function`; an error that names the function when they are not left.
    pub(super) fn reserve(&self, function: &str, bytes: u64) -> Result<Reserved> {
        let counter = &self.0;
        let grown = counter.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= counter.bytes_max)
        });
        match grown {
            Ok(_) => Ok(Reserved { memory: self.clone(), bytes }),
            Err(used) => Err(DataFusionError::ResourcesExhausted(format!(
                "`{function}` would make values of up to {}, and {} of {} are left",
                human(bytes),
                human(counter.bytes_max.saturating_sub(used)),
                human(counter.bytes_max)
            ))),
        }
    }
}

/// Bytes that are reserved until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    memory: ResultMemory,
    bytes: u64,
}

impl Reserved {
    /// Gives back all but `bytes`.
    pub(super) fn shrink(&mut self, bytes: u64) {
        if let Some(less) = self.bytes.checked_sub(bytes) {
            self.memory.0.used.fetch_sub(less, Ordering::AcqRel);
            self.bytes = bytes;
        }
    }

    /// The array, which keeps as much reserved as it occupies until its last part is dropped.
    pub(super) fn hold(mut self, array: ArrayRef) -> Result<ArrayRef> {
        let bytes = array.get_array_memory_size() as u64;
        if bytes <= SMALL_BYTES {
            return Ok(array);
        }
        self.shrink(bytes);
        Ok(make_array(held(&array.to_data(), &Arc::new(self))?))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// A buffer with the reservation that it belongs to.
struct Held {
    buffer: Buffer,
    _reserved: Arc<Reserved>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_slice()
    }
}

fn held(data: &ArrayData, reserved: &Arc<Reserved>) -> Result<ArrayData> {
    let hold = |buffer: &Buffer| {
        let held = Held { buffer: buffer.clone(), _reserved: Arc::clone(reserved) };
        Buffer::from(bytes::Bytes::from_owner(held))
    };
    let buffers = data.buffers().iter().map(hold).collect();
    let children = data.child_data().iter().map(|child| held(child, reserved)).collect::<Result<_>>()?;
    let builder = data.clone().into_builder().buffers(buffers).child_data(children);
    builder.build().map_err(DataFusionError::from)
}

/// A size for people, in binary units.
fn human(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let found = units.iter().find(|(_, unit)| bytes >= *unit);
    match found {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn used(memory: &ResultMemory) -> u64 {
        memory.0.used.load(Ordering::Acquire)
    }

    #[test]
    fn a_result_is_counted_until_its_last_part_is_dropped() {
        let text = "x".repeat(100_000);
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringArray::from(vec![text.as_str(), "y"])),
            Arc::new(StringViewArray::from(vec![text.as_str(), "y"])),
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some((0..20_000).map(Some)), None])),
        ];
        for array in arrays {
            let memory = ResultMemory::new(1 << 20);
            let held = memory.reserve("f", 1 << 20).unwrap().hold(Arc::clone(&array)).unwrap();
            assert_eq!(&held, &array);
            assert!((100_000..400_000).contains(&used(&memory)), "{}", used(&memory));
            let part = held.slice(0, 1);
            drop(held);
            assert!(used(&memory) >= 100_000);
            drop(part);
            assert_eq!(used(&memory), 0);
        }
    }

    #[test]
    fn more_than_the_limit_is_refused_and_nothing_stays_reserved() {
        let memory = ResultMemory::new(1 << 20);
        let first = memory.reserve("f", 1 << 19).unwrap();
        let refused = memory.reserve("repeat", 10 << 30).unwrap_err().to_string();
        assert!(
            refused.contains("`repeat` would make values of up to 10.0 GiB, and 512.0 KiB of 1.0 MiB are left"),
            "{refused}"
        );
        assert!(memory.reserve("f", u64::MAX).is_err());
        drop(first);
        assert_eq!(used(&memory), 0);
    }
}
