//! Graphs of random operators, inputs and attributes give an error or a result, but never a panic.

use perennial_onnx::build::{GraphBuilder, ML, attribute};
use perennial_onnx::fuzz::onnx;
use perennial_onnx::proto::{AttributeProto, DataType, TensorProto};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A tensor of small numbers.
fn tensor(data_type: DataType, dims: Vec<i64>) -> TensorProto {
    let count = dims.iter().product::<i64>().clamp(0, 64);
    let mut tensor = TensorProto { dims, data_type: Some(data_type as i32), ..TensorProto::default() };
    match data_type {
        DataType::Float => tensor.float_data = (0..count).map(|number| number as f32 - 1.0).collect(),
        DataType::Double => tensor.double_data = (0..count).map(|number| number as f64 - 1.0).collect(),
        DataType::Int64 => tensor.int64_data = (0..count).map(|number| number - 1).collect(),
        DataType::String => tensor.string_data = (0..count).map(|_| "a".into()).collect(),
        _ => tensor.int32_data = vec![1; count as usize],
    }
    tensor
}

const TENSOR_OPERATORS: &str = "Add Sub Mul Div Pow Max Sum Equal LessOrEqual And Neg Sign Not IsNaN Where Clip Relu Log \
    LeakyRelu Softmax LogSoftmax Identity Dropout Reshape Flatten Squeeze Unsqueeze Transpose Concat Shape Expand \
    ConstantOfShape Gather Slice Split TopK MatMul Gemm ReduceSum ReduceMean ReduceLogSumExp ArgMax ArgMin Cast CastLike \
    Constant";

const CLASSICAL_OPERATORS: &str = "TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor LabelEncoder OneHotEncoder \
    CategoryMapper Scaler Imputer Normalizer Binarizer FeatureVectorizer LinearClassifier LinearRegressor \
    ArrayFeatureExtractor ZipMap SVMRegressor";

const ATTRIBUTES: &str = "axis axes alpha beta keepdims to perm k largest split starts ends value transA transB allowzero min \
    max start end noop_with_empty_axes select_last_index keys_strings values_floats cats_strings cats_int64s zeros offset \
    scale imputed_value_floats norm coefficients intercepts classlabels_int64s classlabels_strings post_transform targets \
    n_targets n_supports support_vectors kernel_params default_string";

fn words(text: &'static str) -> impl Strategy<Value = &'static str> + Clone {
    select(text.split_whitespace().collect::<Vec<_>>())
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -3..4_i64, 1 => select(vec![i64::MIN, i64::MAX, 1 << 40, 1 << 26, 7, 11])]
}

fn any_attribute() -> impl Strategy<Value = AttributeProto> {
    let name = words(ATTRIBUTES);
    let texts = select(vec!["", "a", "b", "SOFTMAX", "LOGISTIC", "PROBIT", "L2", "RBF", "BRANCH_LEQ", "LEAF"]);
    let types = select(vec![
        DataType::Float,
        DataType::Double,
        DataType::Int64,
        DataType::Int32,
        DataType::Bool,
        DataType::String,
    ]);
    prop_oneof![
        (name.clone(), integer()).prop_map(|(name, value)| attribute::int(name, value)),
        (name.clone(), -2.0..2.0_f32).prop_map(|(name, value)| attribute::float(name, value)),
        (name.clone(), prop::collection::vec(integer(), 0..5)).prop_map(|(name, values)| attribute::ints(name, values)),
        (name.clone(), prop::collection::vec(-2.0..2.0_f32, 0..7))
            .prop_map(|(name, values)| attribute::floats(name, values)),
        (name.clone(), texts.clone()).prop_map(|(name, value)| attribute::text(name, value)),
        (name.clone(), prop::collection::vec(texts, 0..4)).prop_map(|(name, values)| attribute::texts(name, values)),
        (name, types, prop::collection::vec(0..4_i64, 0..4))
            .prop_map(|(name, data_type, dims)| attribute::tensor(name, tensor(data_type, dims))),
    ]
}

/// A node; the inputs are indices into the earlier values.
#[derive(Debug, Clone)]
struct Node {
    operator: &'static str,
    domain: &'static str,
    inputs: Vec<Index>,
    attributes: Vec<AttributeProto>,
}

fn node() -> impl Strategy<Value = Node> {
    let operator = prop_oneof![
        3 => words(TENSOR_OPERATORS).prop_map(|operator| (operator, "")),
        1 => words(CLASSICAL_OPERATORS).prop_map(|operator| (operator, ML)),
    ];
    let inputs = prop::collection::vec(any::<Index>(), 0..4);
    let attributes = prop::collection::vec(any_attribute(), 0..4);
    (operator, inputs, attributes).prop_map(|((operator, domain), inputs, attributes)| Node {
        operator,
        domain,
        inputs,
        attributes,
    })
}

fn graph(nodes: &[Node], opset: i64) -> Vec<u8> {
    let mut graph = GraphBuilder::new("random");
    graph.input("x", DataType::Float, &[-1, 2]);
    graph.input("t", DataType::String, &[-1, 1]);
    let mut names: Vec<String> = ["x", "t", ""].map(str::to_owned).to_vec();
    let constants = [
        (DataType::Float, vec![2, 3]),
        (DataType::Int64, vec![3]),
        (DataType::Int64, vec![]),
        (DataType::Double, vec![2]),
        (DataType::Bool, vec![1, 2]),
        (DataType::String, vec![2]),
    ];
    for (data_type, dims) in constants {
        let name = format!("c{}", names.len());
        let value = attribute::tensor("value", tensor(data_type, dims));
        graph.node("Constant", "", &[], &[&name], vec![value]);
        names.push(name);
    }
    for node in nodes {
        let inputs: Vec<&str> = node.inputs.iter().map(|index| index.get(&names).as_str()).collect();
        let outputs = [format!("v{}", names.len()), format!("v{}", names.len() + 1)];
        graph.node(node.operator, node.domain, &inputs, &[&outputs[0], &outputs[1]], node.attributes.clone());
        names.extend(outputs);
    }
    if let Some(last) = names.iter().rev().nth(1) {
        graph.output(last, DataType::Float, &[-1, -1]);
    }
    graph.finish(opset, 3)
}

/// The number of cases; the variable `PROPTEST_CASES` may raise it.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(2_000), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn they_never_panic(nodes in prop::collection::vec(node(), 1..5), opset in select(vec![6, 9, 11, 13, 17, 21])) {
        onnx(&graph(&nodes, opset));
    }
}
