//! Encoders of categories.

use std::collections::HashMap;
use std::sync::Arc;

use crate::node::{BuildError, Node};
use crate::operator::cast::truncate;
use crate::operator::{BuildResult, Inputs, Operator, first_output};
use crate::tensor::{Data, Element, Tensor};

/// `LabelEncoder`: maps keys of one type to values of another.
#[derive(Debug)]
struct LabelEncoder {
    keys: Keys,
    values: Data,
    default: Data,
}

/// The index of each key.
#[derive(Debug)]
enum Keys {
    Texts(HashMap<Arc<str>, usize>),
    Numbers(HashMap<i64, usize>),
    /// Keyed by their bits, with -0 as 0. `missing` is the index of NaN.
    Floats {
        indices: HashMap<u64, usize>,
        missing: Option<usize>,
    },
}

#[derive(Debug)]
struct OneHotEncoder {
    categories: Keys,
    count: usize,
    /// Whether an unknown category is encoded as zeros; otherwise it is an error.
    zeros: bool,
}

/// `CategoryMapper`: maps texts to integers, and integers to texts.
#[derive(Debug)]
struct CategoryMapper {
    numbers: Vec<i64>,
    texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, usize>,
    by_number: HashMap<i64, usize>,
    default_number: i64,
    default_text: Arc<str>,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "LabelEncoder" => Some(label_encoder(node).map(|encoder| Arc::new(encoder) as _)),
        "OneHotEncoder" => Some(one_hot(node).map(|encoder| Arc::new(encoder) as _)),
        "CategoryMapper" => Some(category_mapper(node).map(|mapper| Arc::new(mapper) as _)),
        _ => None,
    }
}

/// The first index of each key; duplicates are ignored.
fn first_indices<K: std::hash::Hash + Eq>(keys: impl IntoIterator<Item = K>) -> HashMap<K, usize> {
    let mut indices = HashMap::new();
    for (index, key) in keys.into_iter().enumerate() {
        indices.entry(key).or_insert(index);
    }
    indices
}

fn bits(value: f64) -> u64 {
    // Adding 0 turns -0 into 0.
    (value + 0.0).to_bits()
}

impl Keys {
    /// With `finds_missing`, NaN matches NaN among the keys.
    fn new(data: &Data, finds_missing: bool) -> Result<Self, BuildError> {
        let floats = |values: &mut dyn Iterator<Item = f64>| {
            let values: Vec<f64> = values.collect();
            let missing = values.iter().position(|value| value.is_nan()).filter(|_| finds_missing);
            Keys::Floats { indices: first_indices(values.iter().map(|&value| bits(value))), missing }
        };
        Ok(match data {
            Data::Text(keys) => Self::Texts(first_indices(keys.iter().cloned())),
            Data::I64(keys) => Self::Numbers(first_indices(keys.iter().copied())),
            Data::I32(keys) => Self::Numbers(first_indices(keys.iter().map(|&key| i64::from(key)))),
            Data::F32(keys) => floats(&mut keys.iter().map(|&key| f64::from(key))),
            Data::F64(keys) => floats(&mut keys.iter().copied()),
            Data::Bool(_) => return Err(BuildError::Unsupported("keys of BOOL".into())),
        })
    }

    /// Calls `visit` with the key index of each element; `None` if it is not a key.
    fn find(&self, data: &Data, visit: impl FnMut(Option<usize>)) -> Result<(), String> {
        fn float(indices: &HashMap<u64, usize>, missing: Option<usize>, value: f64) -> Option<usize> {
            if value.is_nan() { missing } else { indices.get(&bits(value)).copied() }
        }
        match (self, data) {
            (Self::Texts(indices), Data::Text(x)) => x.iter().map(|x| indices.get(x).copied()).for_each(visit),
            (Self::Numbers(indices), Data::I64(x)) => x.iter().map(|x| indices.get(x).copied()).for_each(visit),
            (Self::Numbers(indices), Data::I32(x)) => {
                x.iter().map(|&x| indices.get(&i64::from(x)).copied()).for_each(visit);
            }
            (Self::Floats { indices, missing }, Data::F32(x)) => {
                x.iter().map(|&x| float(indices, *missing, x.into())).for_each(visit);
            }
            (Self::Floats { indices, missing }, Data::F64(x)) => {
                x.iter().map(|&x| float(indices, *missing, x)).for_each(visit);
            }
            (_, other) => return Err(format!("{} is not the type of the keys", other.element_type())),
        }
        Ok(())
    }
}

fn label_encoder(node: &Node<'_>) -> Result<LabelEncoder, BuildError> {
    let classes = node.texts("classes_strings")?;
    if !classes.is_empty() {
        // In operator set 1, `classes_strings` maps texts to their indices.
        return Ok(LabelEncoder {
            values: Data::I64((0..classes.len() as i64).collect()),
            keys: Keys::new(&Data::Text(classes), false)?,
            default: Data::I64(vec![node.int("default_int64", -1)]),
        });
    }
    let keys = table(node, "keys")?.ok_or("keys are missing")?;
    let values = table(node, "values")?.ok_or("values are missing")?;
    if keys.len() != values.len() || keys.is_empty() {
        return Err(BuildError::Invalid(format!(
            "{} keys and {} values, expected equally many",
            keys.len(),
            values.len()
        )));
    }
    let default = match node.tensor("default_tensor")? {
        Some(tensor) if tensor.element_type() == values.element_type() && tensor.data().len() == 1 => tensor.data,
        Some(tensor) => {
            return Err(BuildError::Invalid(format!(
                "the default is {}, expected one {}",
                tensor.element_type(),
                values.element_type()
            )));
        }
        None => match &values {
            Data::Text(_) => Data::Text(vec![node.text("default_string", "_Unused")?.into()]),
            Data::I64(_) => Data::I64(vec![node.int("default_int64", -1)]),
            Data::I32(_) => Data::I32(vec![-1]),
            Data::F32(_) => Data::F32(vec![node.float("default_float", -0.0)]),
            Data::F64(_) => Data::F64(vec![-0.0]),
            Data::Bool(_) => return Err(BuildError::Unsupported("values of BOOL".into())),
        },
    };
    Ok(LabelEncoder { keys: Keys::new(&keys, node.version >= 4)?, values, default })
}

/// The attribute `<stem>_strings`, `<stem>_int64s`, `<stem>_floats` or `<stem>_tensor`, whichever is present.
fn table(node: &Node<'_>, stem: &str) -> Result<Option<Data>, BuildError> {
    if let Some(tensor) = node.tensor(&format!("{stem}_tensor"))? {
        return Ok(Some(tensor.data));
    }
    let (texts, numbers, floats) = (
        node.texts(&format!("{stem}_strings"))?,
        node.ints(&format!("{stem}_int64s")),
        node.floats(&format!("{stem}_floats")),
    );
    Ok(match (texts.is_empty(), numbers.is_empty(), floats.is_empty()) {
        (false, true, true) => Some(Data::Text(texts)),
        (true, false, true) => Some(Data::I64(numbers.to_vec())),
        (true, true, false) => Some(Data::F32(floats.to_vec())),
        (true, true, true) => None,
        _ => return Err(BuildError::Invalid(format!("`{stem}` have more than one type"))),
    })
}

impl Operator for LabelEncoder {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        fn typed<T: Element>(
            encoder: &LabelEncoder,
            values: &[T],
            input: &Tensor,
            output: &mut Tensor,
        ) -> Result<(), String> {
            let default = T::values(&encoder.default).and_then(<[T]>::first).ok_or("the default has another type")?;
            let output = output.reset::<T>(input.shape())?;
            encoder.keys.find(input.data(), |index| output.push(index.map_or(default, |index| &values[index]).clone()))
        }
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        match &self.values {
            Data::Text(values) => typed(self, values, input, output),
            Data::I64(values) => typed(self, values, input, output),
            Data::I32(values) => typed(self, values, input, output),
            Data::F32(values) => typed(self, values, input, output),
            Data::F64(values) => typed(self, values, input, output),
            Data::Bool(values) => typed(self, values, input, output),
        }
    }
}

fn one_hot(node: &Node<'_>) -> Result<OneHotEncoder, BuildError> {
    let (texts, numbers) = (node.texts("cats_strings")?, node.ints("cats_int64s"));
    let categories = match (texts.is_empty(), numbers.is_empty()) {
        (false, true) => Data::Text(texts),
        (true, false) => Data::I64(numbers.to_vec()),
        _ => return Err("expected categories, all of one type".into()),
    };
    Ok(OneHotEncoder {
        count: categories.len(),
        categories: Keys::new(&categories, false)?,
        zeros: node.int("zeros", 1) != 0,
    })
}

impl Operator for OneHotEncoder {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let shape = [input.shape(), &[self.count]].concat();
        let output = output.reset::<f32>(&shape)?;
        let mut unknown = false;
        let visit = |index: Option<usize>| {
            let from = output.len();
            output.resize(from + self.count, 0.0);
            match index {
                Some(index) => output[from + index] = 1.0,
                None => unknown = true,
            }
        };
        // Floats are truncated to integer categories.
        let whole = |values: &mut dyn Iterator<Item = f64>| Data::I64(values.map(truncate).collect());
        match input.data() {
            Data::F32(values) => self.categories.find(&whole(&mut values.iter().map(|&x| f64::from(x))), visit)?,
            Data::F64(values) => self.categories.find(&whole(&mut values.iter().copied()), visit)?,
            data => self.categories.find(data, visit)?,
        }
        if unknown && !self.zeros {
            return Err("a category is unknown, and the model does not allow unknown ones".into());
        }
        Ok(())
    }
}

fn category_mapper(node: &Node<'_>) -> Result<CategoryMapper, BuildError> {
    let (numbers, texts) = (node.ints("cats_int64s").to_vec(), node.texts("cats_strings")?);
    if numbers.len() != texts.len() {
        return Err(BuildError::Invalid(format!(
            "{} numbers and {} texts, expected equally many",
            numbers.len(),
            texts.len()
        )));
    }
    Ok(CategoryMapper {
        by_text: first_indices(texts.iter().cloned()),
        by_number: first_indices(numbers.iter().copied()),
        default_number: node.int("default_int64", -1),
        default_text: node.text("default_string", "_Unused")?.into(),
        numbers,
        texts,
    })
}

impl Operator for CategoryMapper {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        match input.data() {
            Data::Text(values) => output.reset(input.shape())?.extend(
                values.iter().map(|text| self.by_text.get(text).map_or(self.default_number, |&at| self.numbers[at])),
            ),
            Data::I64(values) => output.reset(input.shape())?.extend(values.iter().map(|number| {
                self.by_number.get(number).map_or_else(|| self.default_text.clone(), |&at| self.texts[at].clone())
            })),
            other => return Err(format!("expected BYTES or INT64, got {}", other.element_type())),
        }
        Ok(())
    }
}
