//! Categories to numbers and back.

use std::collections::HashMap;
use std::sync::Arc;

use crate::node::{Node, Refusal};
use crate::operator::cast::truncate;
use crate::operator::{Inputs, Made, Operator, only};
use crate::tensor::{Data, Element, Tensor};

/// A table from keys of one type to values of another.
#[derive(Debug)]
struct LabelEncoder {
    keys: Keys,
    values: Data,
    default: Data,
}

/// Where each key's value stands.
#[derive(Debug)]
enum Keys {
    Texts(HashMap<Arc<str>, usize>),
    Numbers(HashMap<i64, usize>),
    /// By their bits; 0 and -0 are one key. `missing` is the place of NaN.
    Floats {
        places: HashMap<u64, usize>,
        missing: Option<usize>,
    },
}

#[derive(Debug)]
struct OneHotEncoder {
    categories: Keys,
    count: usize,
    /// Whether an unknown category is all zeros, or an error.
    zeros: bool,
}

/// Texts to numbers and numbers to texts, whichever comes in.
#[derive(Debug)]
struct CategoryMapper {
    numbers: Vec<i64>,
    texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, usize>,
    by_number: HashMap<i64, usize>,
    default_number: i64,
    default_text: Arc<str>,
}

pub(super) fn make(name: &str, node: &Node<'_>) -> Option<Made> {
    match name {
        "LabelEncoder" => Some(label_encoder(node).map(|encoder| Arc::new(encoder) as _)),
        "OneHotEncoder" => Some(one_hot(node).map(|encoder| Arc::new(encoder) as _)),
        "CategoryMapper" => Some(category_mapper(node).map(|mapper| Arc::new(mapper) as _)),
        _ => None,
    }
}

/// The first place of each key; later repeats do not count.
fn first<K: std::hash::Hash + Eq>(keys: impl IntoIterator<Item = K>) -> HashMap<K, usize> {
    let mut places = HashMap::new();
    for (place, key) in keys.into_iter().enumerate() {
        places.entry(key).or_insert(place);
    }
    places
}

fn bits(value: f64) -> u64 {
    // Adding 0 makes -0 into 0.
    (value + 0.0).to_bits()
}

impl Keys {
    /// `finds_missing`: NaN among the keys is found by NaN.
    fn of(data: &Data, finds_missing: bool) -> Result<Self, Refusal> {
        let floats = |values: &mut dyn Iterator<Item = f64>| {
            let values: Vec<f64> = values.collect();
            let missing = values.iter().position(|value| value.is_nan()).filter(|_| finds_missing);
            Keys::Floats { places: first(values.iter().map(|&value| bits(value))), missing }
        };
        Ok(match data {
            Data::Text(keys) => Self::Texts(first(keys.iter().cloned())),
            Data::I64(keys) => Self::Numbers(first(keys.iter().copied())),
            Data::I32(keys) => Self::Numbers(first(keys.iter().map(|&key| i64::from(key)))),
            Data::F32(keys) => floats(&mut keys.iter().map(|&key| f64::from(key))),
            Data::F64(keys) => floats(&mut keys.iter().copied()),
            Data::Bool(_) => return Err(Refusal::Unsupported("keys of BOOL".into())),
        })
    }

    /// Calls `visit` with the place of each element, `None` where it is no key.
    fn find(&self, data: &Data, visit: impl FnMut(Option<usize>)) -> Result<(), String> {
        fn float(places: &HashMap<u64, usize>, missing: Option<usize>, value: f64) -> Option<usize> {
            if value.is_nan() { missing } else { places.get(&bits(value)).copied() }
        }
        match (self, data) {
            (Self::Texts(places), Data::Text(x)) => x.iter().map(|x| places.get(x).copied()).for_each(visit),
            (Self::Numbers(places), Data::I64(x)) => x.iter().map(|x| places.get(x).copied()).for_each(visit),
            (Self::Numbers(places), Data::I32(x)) => {
                x.iter().map(|&x| places.get(&i64::from(x)).copied()).for_each(visit);
            }
            (Self::Floats { places, missing }, Data::F32(x)) => {
                x.iter().map(|&x| float(places, *missing, x.into())).for_each(visit);
            }
            (Self::Floats { places, missing }, Data::F64(x)) => {
                x.iter().map(|&x| float(places, *missing, x)).for_each(visit);
            }
            (_, other) => return Err(format!("{} is not of the keys' type", other.kind())),
        }
        Ok(())
    }
}

fn label_encoder(node: &Node<'_>) -> Result<LabelEncoder, Refusal> {
    let classes = node.texts("classes_strings")?;
    if !classes.is_empty() {
        // Operator set 1 turned texts into their places and back, whichever came in.
        return Ok(LabelEncoder {
            values: Data::I64((0..classes.len() as i64).collect()),
            keys: Keys::of(&Data::Text(classes), false)?,
            default: Data::I64(vec![node.int("default_int64", -1)]),
        });
    }
    let keys = table(node, "keys")?.ok_or("no keys are given")?;
    let values = table(node, "values")?.ok_or("no values are given")?;
    if keys.len() != values.len() || keys.is_empty() {
        return Err(Refusal::Invalid(format!("{} keys and {} values", keys.len(), values.len())));
    }
    let default = match node.tensor("default_tensor")? {
        Some(tensor) if tensor.kind() == values.kind() && tensor.data().len() == 1 => tensor.data,
        Some(tensor) => {
            return Err(Refusal::Invalid(format!("the default is one {}, not {}", values.kind(), tensor.kind())));
        }
        None => match &values {
            Data::Text(_) => Data::Text(vec![node.text("default_string", "_Unused")?.into()]),
            Data::I64(_) => Data::I64(vec![node.int("default_int64", -1)]),
            Data::I32(_) => Data::I32(vec![-1]),
            Data::F32(_) => Data::F32(vec![node.float("default_float", -0.0)]),
            Data::F64(_) => Data::F64(vec![-0.0]),
            Data::Bool(_) => return Err(Refusal::Unsupported("values of BOOL".into())),
        },
    };
    Ok(LabelEncoder { keys: Keys::of(&keys, node.version >= 4)?, values, default })
}

/// The attribute `<stem>_strings`, `_int64s`, `_floats` or `_tensor`, whichever is given.
fn table(node: &Node<'_>, stem: &str) -> Result<Option<Data>, Refusal> {
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
        _ => return Err(Refusal::Invalid(format!("`{stem}` are given in more than one type"))),
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
            let default = T::values(&encoder.default).and_then(<[T]>::first).ok_or("the default is of another type")?;
            let output = output.start::<T>(input.shape())?;
            encoder.keys.find(input.data(), |place| output.push(place.map_or(default, |place| &values[place]).clone()))
        }
        let (input, output) = (inputs.need(0)?, only(outputs)?);
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

fn one_hot(node: &Node<'_>) -> Result<OneHotEncoder, Refusal> {
    let (texts, numbers) = (node.texts("cats_strings")?, node.ints("cats_int64s"));
    let categories = match (texts.is_empty(), numbers.is_empty()) {
        (false, true) => Data::Text(texts),
        (true, false) => Data::I64(numbers.to_vec()),
        _ => return Err("expected categories of one kind".into()),
    };
    Ok(OneHotEncoder {
        count: categories.len(),
        categories: Keys::of(&categories, false)?,
        zeros: node.int("zeros", 1) != 0,
    })
}

impl Operator for OneHotEncoder {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.need(0)?, only(outputs)?);
        let shape = [input.shape(), &[self.count]].concat();
        let output = output.start::<f32>(&shape)?;
        let mut unknown = false;
        let visit = |place: Option<usize>| {
            let from = output.len();
            output.resize(from + self.count, 0.0);
            match place {
                Some(place) => output[from + place] = 1.0,
                None => unknown = true,
            }
        };
        // Numbers are categories by their whole part.
        let whole = |values: &mut dyn Iterator<Item = f64>| Data::I64(values.map(truncate).collect());
        match input.data() {
            Data::F32(values) => self.categories.find(&whole(&mut values.iter().map(|&x| f64::from(x))), visit)?,
            Data::F64(values) => self.categories.find(&whole(&mut values.iter().copied()), visit)?,
            data => self.categories.find(data, visit)?,
        }
        if unknown && !self.zeros {
            return Err("a category is unknown, and the model has no place for that".into());
        }
        Ok(())
    }
}

fn category_mapper(node: &Node<'_>) -> Result<CategoryMapper, Refusal> {
    let (numbers, texts) = (node.ints("cats_int64s").to_vec(), node.texts("cats_strings")?);
    if numbers.len() != texts.len() {
        return Err(Refusal::Invalid(format!("{} numbers for {} texts", numbers.len(), texts.len())));
    }
    Ok(CategoryMapper {
        by_text: first(texts.iter().cloned()),
        by_number: first(numbers.iter().copied()),
        default_number: node.int("default_int64", -1),
        default_text: node.text("default_string", "_Unused")?.into(),
        numbers,
        texts,
    })
}

impl Operator for CategoryMapper {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.need(0)?, only(outputs)?);
        match input.data() {
            Data::Text(values) => output.start(input.shape())?.extend(
                values.iter().map(|text| self.by_text.get(text).map_or(self.default_number, |&at| self.numbers[at])),
            ),
            Data::I64(values) => output.start(input.shape())?.extend(values.iter().map(|number| {
                self.by_number.get(number).map_or_else(|| self.default_text.clone(), |&at| self.texts[at].clone())
            })),
            other => return Err(format!("expected BYTES or INT64, got {}", other.kind())),
        }
        Ok(())
    }
}
