//! The order of work, and the memory it uses again and again.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::operator::{Inputs, Operator};
use crate::tensor::Tensor;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// An optional input that is left out.
    Nowhere,
    Constant(usize),
    Slot(usize),
}

/// One node to run.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) operator: Arc<dyn Operator>,
    pub(crate) inputs: Vec<Source>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) node: String,
    pub(crate) name: String,
}

/// The steps of a model, each after those it needs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) constants: Arc<Vec<Tensor>>,
    pub(crate) slots: usize,
    /// Slots of the model's inputs.
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<Source>,
}

/// Memory of a run; a run after another takes hardly any new.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    slots: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

struct StepInputs<'a> {
    step: &'a Step,
    slots: &'a [Tensor],
    constants: &'a [Tensor],
}

impl Inputs for StepInputs<'_> {
    fn get(&self, position: usize) -> Option<&Tensor> {
        match self.step.inputs.get(position)? {
            Source::Nowhere => None,
            Source::Constant(at) => self.constants.get(*at),
            Source::Slot(at) => self.slots.get(*at),
        }
    }

    fn len(&self) -> usize {
        self.step.inputs.len()
    }
}

impl Plan {
    /// The tensor to put the model's input at `position` into.
    pub(crate) fn input<'a>(&self, position: usize, buffers: &'a mut Buffers) -> &'a mut Tensor {
        buffers.slots.resize_with(self.slots, Tensor::default);
        &mut buffers.slots[self.inputs[position]]
    }

    /// Runs every step over the inputs in `buffers`.
    pub(crate) fn run(&self, buffers: &mut Buffers) -> Result<()> {
        buffers.slots.resize_with(self.slots, Tensor::default);
        for step in &self.steps {
            buffers.outputs.clear();
            buffers.outputs.extend(step.outputs.iter().map(|&slot| std::mem::take(&mut buffers.slots[slot])));
            let inputs = StepInputs { step, slots: &buffers.slots, constants: &self.constants };
            step.operator.run(&inputs, &mut buffers.outputs).map_err(|message| Error::Run {
                node: step.node.clone(),
                operator: step.name.clone(),
                message,
            })?;
            for (&slot, output) in step.outputs.iter().zip(buffers.outputs.drain(..)) {
                buffers.slots[slot] = output;
            }
        }
        Ok(())
    }

    /// The model's output at `position`, after a run.
    pub(crate) fn output<'a>(&'a self, position: usize, buffers: &'a Buffers) -> &'a Tensor {
        match self.outputs[position] {
            Source::Constant(at) => &self.constants[at],
            Source::Slot(at) => &buffers.slots[at],
            Source::Nowhere => const { &Tensor { shape: Vec::new(), data: crate::tensor::Data::F32(Vec::new()) } },
        }
    }

    /// The plan with only the steps that one output needs; it becomes output 0.
    pub(crate) fn keeping(&self, output: usize) -> Self {
        let wanted = self.outputs[output];
        let mut needed = vec![false; self.slots];
        let mut want = |source: Source| {
            if let Source::Slot(slot) = source {
                needed[slot] = true;
            }
        };
        want(wanted);
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
        Self { steps: kept, outputs: vec![wanted], ..self.clone() }
    }
}
