//! ONNX files, field by field, as no exporter writes them.

/// A message of protocol buffers being written.
#[derive(Default, Clone)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

const FLOAT: u64 = 1;
const INT64: u64 = 7;
const BOOL: u64 = 9;

/// A model of one input `x` (rows of two numbers) and one output `y`.
pub(super) fn model(graph: &Message) -> Vec<u8> {
    let opset = Message::default().text(1, "").number(2, 17);
    Message::default().number(1, 8).message(7, graph).message(8, &opset).into_bytes()
}

/// A graph of nodes and initializers.
pub(super) fn graph(nodes: &[Message], initializers: &[Message]) -> Message {
    let mut graph = Message::default();
    for node in nodes {
        graph = graph.message(1, node);
    }
    graph = graph.text(2, "g");
    for tensor in initializers {
        graph = graph.message(5, tensor);
    }
    graph.message(11, &value("x", FLOAT, &[0, 2])).message(12, &value("y", FLOAT, &[0, 1]))
}

pub(super) fn node(operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    let mut node = Message::default();
    for input in inputs {
        node = node.text(1, input);
    }
    for output in outputs {
        node = node.text(2, output);
    }
    node = node.text(4, operator);
    attributes.iter().fold(node, |node, attribute| node.message(5, attribute))
}

/// An attribute that is a graph.
pub(super) fn graph_attribute(name: &str, graph: &Message) -> Message {
    Message::default().text(1, name).message(6, graph).number(20, 5)
}

/// A tensor of integers in one dimension.
pub(super) fn integers(name: &str, values: &[u64]) -> Message {
    let mut tensor = Message::default().number(1, values.len() as u64).number(2, INT64);
    for value in values {
        tensor = tensor.number(7, *value);
    }
    tensor.text(8, name)
}

/// A tensor of floats whose bytes are in another file.
pub(super) fn external(name: &str, location: &str, count: u64) -> Message {
    let entry = Message::default().text(1, "location").text(2, location);
    Message::default().number(1, count).number(2, FLOAT).text(8, name).message(13, &entry).number(14, 1)
}

/// A tensor that claims far more elements than it has bytes.
pub(super) fn empty(name: &str, dimensions: &[u64]) -> Message {
    let tensor = dimensions.iter().fold(Message::default(), |tensor, size| tensor.number(1, *size));
    tensor.number(2, FLOAT).text(8, name).bytes(9, b"")
}

/// The body of a loop that does nothing for ever.
pub(super) fn idle_loop(turns: u64) -> Vec<u8> {
    let body = Message::default()
        .message(1, &node("Identity", &["condition"], &["continues"], &[]))
        .message(1, &node("Identity", &["state"], &["next"], &[]))
        .text(2, "body")
        .message(11, &value("turn", INT64, &[]))
        .message(11, &value("condition", BOOL, &[]))
        .message(11, &value("state", FLOAT, &[0, 2]))
        .message(12, &value("continues", BOOL, &[]))
        .message(12, &value("next", FLOAT, &[0, 2]));
    let truth = Message::default().number(2, BOOL).text(8, "true").bytes(9, &[1]);
    let most = Message::default().number(2, INT64).number(7, turns).text(8, "most");
    let looping = node("Loop", &["most", "true", "x"], &["looped"], &[graph_attribute("body", &body)]);
    let axes = integers("axes", &[1]);
    let sum = node("ReduceSum", &["looped", "axes"], &["y"], &[]);
    model(&graph(&[looping, sum], &[truth, most, axes]))
}

fn value(name: &str, element: u64, dimensions: &[u64]) -> Message {
    let mut shape = Message::default();
    for size in dimensions {
        // A size of 0 stands for any.
        let size = if *size == 0 { Message::default().text(2, "n") } else { Message::default().number(1, *size) };
        shape = shape.message(1, &size);
    }
    let tensor = Message::default().number(1, element).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
