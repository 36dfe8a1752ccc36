//! Small models whose predictions can be computed by hand.

use perennial_core::model::classes::ClassKind;
use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::task::TaskKind;
use perennial_onnx::build::{Classes, GraphBuilder, PostTransform};
use perennial_onnx::proto::DataType;

/// A model with its signature.
#[derive(Debug, Clone)]
pub struct TestModel {
    /// The file.
    pub onnx: Vec<u8>,
    /// Its inputs and outputs.
    pub signature: Signature,
}

/// Numbers `dep_hour`, `distance`, text `carrier`: the inputs of the flight models.
fn flight_inputs() -> Vec<Input> {
    let input = |name: &str, kind| Input { name: name.to_owned(), kind, time: None };
    vec![input("dep_hour", InputKind::Number), input("distance", InputKind::Number), input("carrier", InputKind::Text)]
}

/// `[dep_hour, distance, 1 if carrier is AA, 2 if UA, else 0]`, missing numbers as 0.
fn flight_matrix(graph: &mut GraphBuilder) -> String {
    graph.input_number("dep_hour");
    graph.input_number("distance");
    graph.input_text("carrier");
    let code = graph.label_encoder("carrier", &["AA", "UA"], &[1.0, 2.0], 0.0);
    let matrix = graph.concat(&["dep_hour", "distance", &code]);
    graph.imputer(&matrix, &[0.0, 0.0, 0.0])
}

impl TestModel {
    /// Probability of yes: the logistic function of `0.1 dep_hour + 0.001 distance + 0.5 carrier + intercept`,
    /// with `carrier` 1 for AA, 2 for UA, 0 for any other or none, and missing numbers 0.
    pub fn binary(intercept: f32) -> Self {
        let mut graph = GraphBuilder::new("binary");
        let matrix = flight_matrix(&mut graph);
        let yes = [0.1, 0.001, 0.5];
        let coefficients: Vec<f32> = yes.iter().map(|value| -value).chain(yes).collect();
        let classes = Classes::Numbers(vec![0, 1]);
        let (label, scores) = graph.linear_classifier(
            &matrix,
            &coefficients,
            &[-intercept, intercept],
            &classes,
            PostTransform::Logistic,
        );
        graph.output(&label, DataType::Int64, &[-1]);
        graph.output(&scores, DataType::Float, &[-1, 2]);
        Self {
            onnx: graph.finish(17, 3),
            signature: Signature {
                inputs: flight_inputs(),
                task: TaskKind::Binary,
                classes: Vec::new(),
                class_kind: ClassKind::Text,
            },
        }
    }

    /// `x + intercept`, of one number `x`.
    pub fn regression(intercept: f32) -> Self {
        let mut graph = GraphBuilder::new("regression");
        graph.input_number("x");
        let value = graph.linear_regressor("x", &[1.0], intercept);
        graph.output(&value, DataType::Float, &[-1, 1]);
        let inputs = vec![Input { name: "x".to_owned(), kind: InputKind::Number, time: None }];
        Self {
            onnx: graph.finish(17, 3),
            signature: Signature {
                inputs,
                task: TaskKind::Regression,
                classes: Vec::new(),
                class_kind: ClassKind::Text,
            },
        }
    }

    /// Softmax over `(0, x, 2x)` for the classes `early`, `late`, `never`.
    pub fn multiclass() -> Self {
        let mut graph = GraphBuilder::new("multiclass");
        graph.input_number("x");
        let names: Vec<String> = ["early", "late", "never"].map(str::to_owned).to_vec();
        let classes = Classes::Texts(names.clone());
        let (label, scores) =
            graph.linear_classifier("x", &[0.0, 1.0, 2.0], &[0.0, 0.0, 0.0], &classes, PostTransform::Softmax);
        graph.output(&label, DataType::String, &[-1]);
        graph.output(&scores, DataType::Float, &[-1, 3]);
        let inputs = vec![Input { name: "x".to_owned(), kind: InputKind::Number, time: None }];
        let signature = Signature { inputs, task: TaskKind::Multiclass, classes: names, class_kind: ClassKind::Text };
        Self { onnx: graph.finish(17, 3), signature }
    }

    /// Softmax over `(0, x, 2x)` for the classes 1, 2 and 10.
    pub fn multiclass_of_integers() -> Self {
        let mut model = Self::multiclass();
        let mut graph = GraphBuilder::new("multiclass");
        graph.input_number("x");
        let classes = Classes::Numbers(vec![1, 2, 10]);
        let (label, scores) =
            graph.linear_classifier("x", &[0.0, 1.0, 2.0], &[0.0, 0.0, 0.0], &classes, PostTransform::Softmax);
        graph.output(&label, DataType::Int64, &[-1]);
        graph.output(&scores, DataType::Float, &[-1, 3]);
        model.onnx = graph.finish(17, 3);
        model.signature.classes = ["1", "2", "10"].map(str::to_owned).to_vec();
        model.signature.class_kind = ClassKind::Integer;
        model
    }
}
