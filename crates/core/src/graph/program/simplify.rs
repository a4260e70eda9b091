//! Owns what makes a program smaller without changing its results: equal steps are done once, and
//! what no result needs is left out.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::{Program, Slot, Step};
use crate::{Array, Shape, Stream, graph::Op, ops::view::View};

/// What makes two steps the same: the operation with its parameters, its inputs and its place.
type Meaning = (String, SmallVec<[Slot; 3]>, Option<Stream>);

impl Program {
    /// Removes steps that repeat others, and constants that repeat others.
    pub(super) fn share(&mut self) {
        let bare = self.bare_constants();
        let mut slots: HashMap<Slot, Slot> = self.equal_constants();
        let mut seen: HashMap<Meaning, u32> = HashMap::new();
        let mut kept: Vec<Step> = Vec::with_capacity(self.steps.len());
        for (at, mut step) in std::mem::take(&mut self.steps).into_iter().enumerate() {
            let at = at as u32;
            for slot in &mut step.inputs {
                *slot = slots.get(slot).copied().unwrap_or(*slot);
            }
            if matches!(step.op, Op::View(View::Alias)) {
                slots.insert(Slot::Step(at, 0), step.inputs[0]);
                continue;
            }
            self.leave_broadcasts(&mut step, &kept, &bare);
            for slot in &mut step.inputs {
                if matches!(slot, Slot::Constant(_)) {
                    *slot = slots.get(slot).copied().unwrap_or(*slot);
                }
            }
            // The shape and dtype tell apart casts, reshapes and broadcasts.
            let name = match &step.op {
                Op::Primitive(_) => format!("{:?}", step.op),
                _ => format!("{:?} {:?}", step.op, step.specs[0]),
            };
            let outputs = 0..step.specs.len() as u32;
            let place = *seen
                .entry((name, step.inputs.clone(), step.stream))
                .or_insert_with(|| {
                    kept.push(step);
                    kept.len() as u32 - 1
                });
            slots.extend(outputs.map(|i| (Slot::Step(at, i), Slot::Step(place, i))));
        }
        self.steps = kept;
        for slot in &mut self.outputs {
            *slot = slots.get(slot).copied().unwrap_or(*slot);
        }
    }

    /// Lets scalar math broadcast its inputs itself, if their shapes before say the result's.
    fn leave_broadcasts(&self, step: &mut Step, kept: &[Step], constants: &HashMap<Slot, Slot>) {
        if !matches!(step.op, Op::Binary(_) | Op::Select) {
            return;
        }
        let bare = |slot: &Slot| match *slot {
            Slot::Step(at, 0) => match &kept[at as usize] {
                Step {
                    op: Op::View(View::Broadcast),
                    inputs,
                    ..
                } => inputs[0],
                _ => *slot,
            },
            slot => constants.get(&slot).copied().unwrap_or(slot),
        };
        let inputs: SmallVec<[Slot; 3]> = step.inputs.iter().map(bare).collect();
        let shape = |slot: &Slot| match *slot {
            Slot::Step(at, output) => kept[at as usize].specs[output as usize].shape.clone(),
            slot => self.spec(slot).shape.clone(),
        };
        let whole = inputs
            .iter()
            .map(shape)
            .try_fold(Shape::scalar(), |whole, shape| {
                whole.broadcast(&shape, "broadcast_to").ok()
            });
        if whole.as_ref() == Some(&step.specs[0].shape) {
            step.inputs = inputs;
        }
    }

    /// For each constant that was broadcast, what it repeats: a constant of its own.
    fn bare_constants(&mut self) -> HashMap<Slot, Slot> {
        let mut bare = HashMap::new();
        for i in 0..self.constants.len() {
            let constant = &self.constants[i];
            if constant.size() == 0 || constant.node.is_traced() {
                continue;
            }
            let Ok(data) = constant.data() else { continue };
            let sizes = constant.shape().iter().zip(&data.strides);
            let once: Shape = sizes
                .map(|(&n, &stride)| if stride == 0 { 1 } else { n })
                .collect();
            if once == *constant.shape() {
                continue;
            }
            let starts = SmallVec::from_elem(0, once.rank());
            let steps = SmallVec::from_elem(1, once.rank());
            let first = constant.sliced(starts, steps, once.clone());
            let sizes = once.iter().copied().skip_while(|&n| n == 1);
            let (from, to) = (
                Slot::Constant(i as u32),
                Slot::Constant(self.constants.len() as u32),
            );
            bare.insert(from, to);
            self.constants.push(first.reshape_to(sizes.collect()));
        }
        bare
    }

    /// For each constant that is the same number as one before it, that one.
    fn equal_constants(&self) -> HashMap<Slot, Slot> {
        let mut first: HashMap<(crate::Dtype, crate::Shape, Vec<u8>), Slot> = HashMap::new();
        let mut same = HashMap::new();
        for (i, constant) in self.constants.iter().enumerate() {
            let slot = Slot::Constant(i as u32);
            let Some(number) = number(constant) else {
                continue;
            };
            let meaning = (constant.dtype(), constant.shape().clone(), number);
            let earlier = *first.entry(meaning).or_insert(slot);
            if earlier != slot {
                same.insert(slot, earlier);
            }
        }
        same
    }

    /// Leaves out steps and constants that no result needs, and numbers the others anew.
    pub(super) fn prune(&mut self) {
        let mut needed = vec![false; self.steps.len()];
        let mut constants = vec![false; self.constants.len()];
        let mut mark = |needed: &mut Vec<bool>, slot: Slot| match slot {
            Slot::Input(_) => {}
            Slot::Constant(i) => constants[i as usize] = true,
            Slot::Step(i, _) => needed[i as usize] = true,
        };
        for &slot in &self.outputs {
            mark(&mut needed, slot);
        }
        for at in (0..self.steps.len()).rev() {
            if needed[at] {
                for &slot in &self.steps[at].inputs {
                    mark(&mut needed, slot);
                }
            }
        }
        let (places, steps) = compact(&needed, std::mem::take(&mut self.steps));
        let (homes, kept) = compact(&constants, std::mem::take(&mut self.constants));
        (self.steps, self.constants) = (steps, kept);
        let slots = self.steps.iter_mut().flat_map(|step| &mut step.inputs);
        for slot in slots.chain(&mut self.outputs) {
            *slot = match *slot {
                Slot::Input(i) => Slot::Input(i),
                Slot::Constant(i) => Slot::Constant(homes[i as usize]),
                Slot::Step(i, output) => Slot::Step(places[i as usize], output),
            };
        }
    }
}

/// The items that are needed, and where each item is among them.
fn compact<T>(needed: &[bool], items: Vec<T>) -> (Vec<u32>, Vec<T>) {
    let mut places = Vec::with_capacity(items.len());
    let mut kept = Vec::new();
    for (item, needed) in items.into_iter().zip(needed) {
        places.push(kept.len() as u32);
        if *needed {
            kept.push(item);
        }
    }
    (places, kept)
}

/// The bytes of an array of one element.
fn number(array: &Array) -> Option<Vec<u8>> {
    if array.size() != 1 || array.node.is_traced() {
        return None;
    }
    let data = array.data().ok()?;
    let size = array.dtype().size();
    // SAFETY: the array is evaluated and has one element, at this offset.
    let bytes =
        unsafe { std::slice::from_raw_parts(data.buffer.host().as_ptr().add(data.offset), size) };
    Some(bytes.to_vec())
}
