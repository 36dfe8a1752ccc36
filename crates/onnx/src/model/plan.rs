//! The execution plan of a model, and its reusable buffers.

use std::cell::Cell;
use std::sync::Arc;

use crate::error::{Error, Result, at_most};
use crate::limits;
use crate::operator::{Inputs, Operator};
use crate::tensor::Tensor;

/// Origin of an operator's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// An optional input that is absent.
    Absent,
    Constant(usize),
    Slot(usize),
}

/// One operator call.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) operator: Arc<dyn Operator>,
    pub(crate) inputs: Vec<Source>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) node: String,
    pub(crate) name: String,
}

/// The operator calls of a model, each after those that produce its inputs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) constants: Arc<Vec<Tensor>>,
    pub(crate) slots: usize,
    /// Slots of the model's inputs.
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<Source>,
}

/// The values of a run; reuse avoids most allocations of later runs.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    slots: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// The resources that an evaluation used.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Usage {
    /// Memory of the tensors that were computed.
    pub(crate) bytes: u64,
    /// See [`OPERATIONS_MAX`](limits::OPERATIONS_MAX).
    pub(crate) operations: u64,
}

/// What ends an evaluation.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// The operations that it may take.
    pub(crate) operations_max: u64,
    /// Whether its result is not needed any more. Asked before and after each operator.
    pub(crate) is_interrupted: &'a (dyn Fn() -> bool + Sync),
}

struct StepInputs<'a> {
    step: &'a Step,
    slots: &'a [Tensor],
    constants: &'a [Tensor],
    /// Operations of the evaluation so far.
    operations: &'a Cell<u64>,
    bounds: Bounds<'a>,
}

impl Inputs for StepInputs<'_> {
    fn get(&self, position: usize) -> Option<&Tensor> {
        match self.step.inputs.get(position)? {
            Source::Absent => None,
            Source::Constant(at) => self.constants.get(*at),
            Source::Slot(at) => self.slots.get(*at),
        }
    }

    fn len(&self) -> usize {
        self.step.inputs.len()
    }

    fn charge(&self, operations: usize) -> Result<(), String> {
        self.operations.set(self.operations.get().saturating_add(operations as u64));
        if (self.bounds.is_interrupted)() {
            return Err("the prediction was interrupted".to_owned());
        }
        at_most("operations", self.operations.get(), self.bounds.operations_max).map_err(|error| error.to_string())
    }
}

impl Plan {
    /// The tensor into which the model's input at `position` is written.
    pub(crate) fn input<'a>(&self, position: usize, buffers: &'a mut Buffers) -> &'a mut Tensor {
        buffers.slots.resize_with(self.slots, Tensor::default);
        &mut buffers.slots[self.inputs[position]]
    }

    /// Executes all steps on the inputs in `buffers`, within the limits of an evaluation and these bounds.
    pub(crate) fn run(&self, buffers: &mut Buffers, bounds: Bounds<'_>) -> Result<Usage> {
        buffers.slots.resize_with(self.slots, Tensor::default);
        let (operations, mut bytes) = (Cell::new(0), 0);
        for step in &self.steps {
            let failed = |message| {
                let (node, operator) = (step.node.clone(), step.name.clone());
                match operations.get() {
                    operations if operations > bounds.operations_max => {
                        Error::Budget { node, operator, operations, limit: bounds.operations_max }
                    }
                    _ => Error::Run { node, operator, message },
                }
            };
            buffers.outputs.clear();
            buffers.outputs.extend(step.outputs.iter().map(|&slot| std::mem::take(&mut buffers.slots[slot])));
            for output in &mut buffers.outputs {
                output.bytes_max = limits::RUN_BYTES_MAX - bytes;
            }
            let inputs =
                StepInputs { step, slots: &buffers.slots, constants: &self.constants, operations: &operations, bounds };
            let read = (0..inputs.len()).filter_map(|position| inputs.get(position)).map(|input| input.data().len());
            inputs.charge(read.sum::<usize>()).map_err(failed)?;
            step.operator.run(&inputs, &mut buffers.outputs).map_err(failed)?;
            inputs.charge(buffers.outputs.iter().map(|output| output.data().len()).sum::<usize>()).map_err(failed)?;
            bytes += buffers.outputs.iter().map(|output| output.data().bytes()).sum::<u64>();
            at_most("bytes of computed tensors", bytes, limits::RUN_BYTES_MAX)?;
            for (&slot, mut output) in step.outputs.iter().zip(buffers.outputs.drain(..)) {
                if output.shape.is_empty() && output.data().is_empty() {
                    // The operator has fewer outputs than the node; an empty shape is that of a scalar.
                    output.shape.push(0);
                }
                buffers.slots[slot] = output;
            }
        }
        Ok(Usage { bytes, operations: operations.get() })
    }

    /// The model's output at `position`, after [`Self::run`].
    pub(crate) fn output<'a>(&'a self, position: usize, buffers: &'a Buffers) -> &'a Tensor {
        match self.outputs[position] {
            Source::Constant(at) => &self.constants[at],
            Source::Slot(at) => &buffers.slots[at],
            Source::Absent => const { &Tensor::EMPTY },
        }
    }

    /// A plan with only the steps that the given output needs; it becomes output 0.
    pub(crate) fn pruned_to(&self, output: usize) -> Self {
        let result = self.outputs[output];
        let mut needed = vec![false; self.slots];
        let mut require = |source: Source| {
            if let Source::Slot(slot) = source {
                needed[slot] = true;
            }
        };
        require(result);
        let mut kept = Vec::new();
        for step in self.steps.iter().rev() {
            if step.outputs.iter().any(|&slot| needed[slot]) {
                for source in &step.inputs {
                    if let Source::Slot(slot) = *source {
                        needed[slot] = true;
                    }
                }
                kept.push(step.clone());
            }
        }
        kept.reverse();
        Self { steps: kept, outputs: vec![result], ..self.clone() }
    }
}
