//! Names of runs whose makers gave none.

use rand::Rng;

const ADJECTIVES: [&str; 24] = [
    "amber", "brisk", "calm", "clear", "deft", "eager", "fair", "gentle", "golden", "keen", "lively", "mellow",
    "nimble", "patient", "plucky", "quiet", "rapid", "silver", "spry", "steady", "sunny", "swift", "tidy", "wise",
];

const ANIMALS: [&str; 24] = [
    "auk", "badger", "crane", "dolphin", "eagle", "falcon", "gull", "heron", "ibis", "jay", "kestrel", "lark",
    "marten", "newt", "osprey", "otter", "plover", "quail", "raven", "stork", "swallow", "tern", "vole", "wren",
];

/// A name such as `steady-heron-417`.
pub(super) fn random() -> String {
    let mut random = rand::rng();
    let adjective = ADJECTIVES[random.random_range(0..ADJECTIVES.len())];
    let animal = ANIMALS[random.random_range(0..ANIMALS.len())];
    format!("{adjective}-{animal}-{}", random.random_range(100..1000))
}
