//! Owns fusion: scalar math of one shape becomes one step, with a reduction at its end.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::{Program, Slot, Step};
use crate::{
    Shape,
    graph::Op,
    ops::{
        fused::{Fused, Scalar, ScalarStep},
        reduce::Reduce,
        view::View,
    },
};

/// The most steps that are fused into one.
const LONGEST: usize = 128;

/// The most inputs of a fused step.
const WIDEST: usize = 32;

/// For each step the group it is in; a step that is not fused is a group of its own.
struct Groups {
    /// The group that each group has become part of.
    parent: Vec<usize>,
    /// The steps of each group that is still one.
    members: Vec<Vec<usize>>,
}

impl Groups {
    fn of(&self, mut step: usize) -> usize {
        while self.parent[step] != step {
            step = self.parent[step];
        }
        step
    }

    fn join(&mut self, into: usize, from: usize) {
        self.parent[from] = into;
        let mut moved = std::mem::take(&mut self.members[from]);
        self.members[into].append(&mut moved);
        self.members[into].sort_unstable();
    }
}

impl Program {
    /// Replaces runs of scalar math by fused steps.
    pub(super) fn fuse(&mut self) {
        let groups = self.groups();
        let mut uses: HashMap<Slot, usize> = HashMap::new();
        for slot in self
            .steps
            .iter()
            .flat_map(|step| &step.inputs)
            .chain(&self.outputs)
        {
            *uses.entry(*slot).or_default() += 1;
        }
        let mut slots: HashMap<Slot, Slot> = HashMap::new();
        let mut kept: Vec<Step> = Vec::new();
        for at in self.order(&groups) {
            let group = &groups.members[at];
            let place = kept.len() as u32;
            let (mut step, from) = if group.len() > 1 {
                self.fused(group, &uses)
            } else {
                let outputs = 0..self.steps[at].specs.len() as u32;
                let from = outputs.map(|i| Slot::Step(at as u32, i)).collect();
                (self.steps[at].clone(), from)
            };
            for slot in &mut step.inputs {
                *slot = slots.get(slot).copied().unwrap_or(*slot);
            }
            let outputs = from.into_iter().enumerate();
            slots.extend(outputs.map(|(i, slot)| (slot, Slot::Step(place, i as u32))));
            kept.push(step);
        }
        for slot in &mut self.outputs {
            *slot = slots.get(slot).copied().unwrap_or(*slot);
        }
        self.steps = kept;
        self.prune();
    }

    /// Which steps run together: those of one level that read from each other.
    ///
    /// A path that leaves a run of scalar math and comes back raises the level, so groups of one
    /// level never make a circle.
    fn groups(&self) -> Groups {
        let count = self.steps.len();
        let members = (0..count).map(|step| vec![step]).collect();
        let mut groups = Groups {
            parent: (0..count).collect(),
            members,
        };
        let levels = self.levels();
        // Where a group is full, what reads from it goes on at a higher place of the same level.
        let mut places = vec![0u32; count];
        for at in 0..count {
            let near: SmallVec<[usize; 3]> = self
                .sources_of(at)
                .filter(|&source| self.runs_with(source, at) && levels[source] == levels[at])
                .collect();
            let Some(place) = near.iter().map(|&source| places[source]).max() else {
                continue;
            };
            let mut joined = vec![at];
            for source in near.into_iter().filter(|&source| places[source] == place) {
                let group = groups.of(source);
                if !joined.contains(&group) {
                    joined.push(group);
                }
            }
            let size: usize = joined
                .iter()
                .map(|&group| groups.members[group].len())
                .sum();
            places[at] = place;
            if size > LONGEST || self.width(&groups, &joined) > WIDEST {
                places[at] += 1;
                continue;
            }
            for &group in &joined[1..] {
                let into = groups.of(at);
                groups.join(group, into);
            }
        }
        self.join_reductions(&mut groups);
        groups
    }

    /// The steps that a step reads from.
    fn sources_of(&self, at: usize) -> impl Iterator<Item = usize> {
        self.steps[at].inputs.iter().filter_map(|slot| match *slot {
            Slot::Step(source, _) => Some(source as usize),
            Slot::Input(_) | Slot::Constant(_) => None,
        })
    }

    /// Whether two steps are scalar math that one pass over memory can do.
    fn runs_with(&self, source: usize, at: usize) -> bool {
        let (source, at) = (&self.steps[source], &self.steps[at]);
        Scalar::of(&source.op).is_some()
            && Scalar::of(&at.op).is_some()
            && source.specs[0].shape == at.specs[0].shape
            && source.stream == at.stream
    }

    /// For each step a level, such that reading from other than the same run raises it; as late as
    /// what reads from a step allows, so that steps meet where they are used.
    fn levels(&self) -> Vec<u32> {
        let count = self.steps.len();
        let mut levels = vec![0u32; count];
        for at in 0..count {
            let raised = |source: usize| levels[source] + u32::from(!self.runs_with(source, at));
            levels[at] = self.sources_of(at).map(raised).max().unwrap_or(0);
        }
        let mut latest: Vec<Option<u32>> = vec![None; count];
        let mut fixed = vec![false; count];
        for slot in &self.outputs {
            if let Slot::Step(at, _) = *slot {
                fixed[at as usize] = true;
            }
        }
        for at in (0..count).rev() {
            if let Some(latest) = latest[at]
                && !fixed[at]
                && Scalar::of(&self.steps[at].op).is_some()
            {
                levels[at] = latest;
            }
            for source in self.sources_of(at) {
                let bound = levels[at] - u32::from(!self.runs_with(source, at));
                latest[source] = Some(latest[source].map_or(bound, |other| other.min(bound)));
            }
        }
        levels
    }

    /// The number of values that groups together read from elsewhere.
    fn width(&self, groups: &Groups, joined: &[usize]) -> usize {
        let steps = joined.iter().flat_map(|&group| &groups.members[group]);
        let outside = steps
            .flat_map(|&step| &self.steps[step].inputs)
            .filter(|slot| match slot {
                Slot::Step(step, _) => !joined.contains(&groups.of(*step as usize)),
                Slot::Input(_) | Slot::Constant(_) => true,
            });
        outside.collect::<HashSet<_>>().len()
    }

    /// Lets reductions over the last axes join the run that only they read.
    fn join_reductions(&self, groups: &mut Groups) {
        for at in 0..self.steps.len() {
            let Some(reduce) = reduction(&self.steps[at].op) else {
                continue;
            };
            let Slot::Step(source, _) = self.steps[at].inputs[0] else {
                continue;
            };
            let source = source as usize;
            let into = groups.of(source);
            let read =
                |slot: &Slot| matches!(slot, Slot::Step(step, _) if *step as usize == source);
            let readers = self
                .steps
                .iter()
                .flat_map(|step| &step.inputs)
                .chain(&self.outputs);
            let inside = &groups.members[into];
            let elsewhere = |step: &usize| {
                let read = |slot: &Slot| matches!(slot, Slot::Step(i, _) if *i as usize == *step);
                let others = self
                    .steps
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| !inside.contains(i));
                others
                    .flat_map(|(_, step)| &step.inputs)
                    .chain(&self.outputs)
                    .any(read)
            };
            let rank = self.steps[source].specs[0].shape.rank();
            let last = reduce
                .axes
                .iter()
                .rev()
                .enumerate()
                .all(|(i, &axis)| axis + i + 1 == rank);
            if Scalar::of(&self.steps[source].op).is_some()
                && self.steps[source].stream == self.steps[at].stream
                && readers.filter(|slot| read(slot)).count() == 1
                && inside.last() == Some(&source)
                && !inside.iter().any(|step| *step != source && elsewhere(step))
                && !reduce.axes.is_empty()
                && last
            {
                groups.join(into, at);
            }
        }
    }

    /// The groups in an order in which they can run.
    fn order(&self, groups: &Groups) -> Vec<usize> {
        let mut order = Vec::new();
        let mut done = vec![false; self.steps.len()];
        for at in 0..self.steps.len() {
            let mut stack = vec![(groups.of(at), false)];
            while let Some((group, ready)) = stack.pop() {
                if done[group] {
                    continue;
                }
                if ready {
                    done[group] = true;
                    order.push(group);
                    continue;
                }
                stack.push((group, true));
                for &step in &groups.members[group] {
                    for slot in &self.steps[step].inputs {
                        let Slot::Step(source, _) = *slot else {
                            continue;
                        };
                        let next = groups.of(source as usize);
                        if next != group && !done[next] {
                            stack.push((next, false));
                        }
                    }
                }
            }
        }
        order
    }

    /// One step that does what a group does, and the slots of its outputs.
    fn fused(&self, group: &[usize], uses: &HashMap<Slot, usize>) -> (Step, Vec<Slot>) {
        let (reduce, scalars) = match group.split_last() {
            Some((&last, rest)) if reduction(&self.steps[last].op).is_some() => (Some(last), rest),
            _ => (None, group),
        };
        let shape = &self.steps[scalars[0]].specs[0].shape;
        let direct = self.sources(scalars, |slot| slot);
        let raw = self.sources(scalars, |slot| self.unbroadcast(slot));
        // Inputs are read as they were before they were broadcast, if that says the shape as well.
        let whole = raw.iter().try_fold(Shape::scalar(), |shape, slot| {
            shape.broadcast(&self.spec(*slot).shape, "fused").ok()
        });
        let bare = whole.as_ref() == Some(shape);
        let inputs = if bare { raw } else { direct };
        let number = |slot: Slot| {
            let inside = match slot {
                Slot::Step(step, _) => scalars.iter().position(|&at| at == step as usize),
                Slot::Input(_) | Slot::Constant(_) => None,
            };
            if let Some(at) = inside {
                return (inputs.len() + at) as u16;
            }
            let slot = if bare { self.unbroadcast(slot) } else { slot };
            let at = inputs.iter().position(|input| *input == slot);
            at.expect("every value from elsewhere is an input") as u16
        };
        let step = |&at: &usize| ScalarStep {
            op: Scalar::of(&self.steps[at].op).expect("only scalar math is fused"),
            inputs: self.steps[at]
                .inputs
                .iter()
                .map(|&slot| number(slot))
                .collect(),
            dtype: self.steps[at].specs[0].dtype,
        };
        let steps: Vec<ScalarStep> = scalars.iter().map(step).collect();
        let last = scalars[scalars.len() - 1];
        let stream = self.steps[last].stream;
        let inputs_of = |slots: Vec<Slot>| slots.into_iter().collect();
        if let Some(at) = reduce {
            let fused = Fused {
                steps,
                outputs: SmallVec::from_elem((inputs.len() + scalars.len() - 1) as u16, 1),
                reduce: reduction(&self.steps[at].op).cloned(),
            };
            let op = Op::Primitive(std::sync::Arc::new(fused));
            let specs = self.steps[at].specs.clone();
            return (
                Step {
                    op,
                    inputs: inputs_of(inputs),
                    specs,
                    stream,
                },
                vec![Slot::Step(at as u32, 0)],
            );
        }
        let within = |at: usize| {
            let slot = Slot::Step(at as u32, 0);
            let steps = scalars.iter().flat_map(|&step| &self.steps[step].inputs);
            steps.filter(|input| **input == slot).count()
        };
        let (mut outputs, mut specs, mut from) = (SmallVec::new(), SmallVec::new(), Vec::new());
        for (i, &at) in scalars.iter().enumerate() {
            let slot = Slot::Step(at as u32, 0);
            if uses.get(&slot).copied().unwrap_or(0) > within(at) || at == last {
                outputs.push((inputs.len() + i) as u16);
                specs.push(self.steps[at].specs[0].clone());
                from.push(slot);
            }
        }
        let fused = Fused {
            steps,
            outputs,
            reduce: None,
        };
        let op = Op::Primitive(std::sync::Arc::new(fused));
        (
            Step {
                op,
                inputs: inputs_of(inputs),
                specs,
                stream,
            },
            from,
        )
    }

    /// The values that scalar steps read from elsewhere, each once.
    fn sources(&self, steps: &[usize], seen_as: impl Fn(Slot) -> Slot) -> Vec<Slot> {
        let mut sources = Vec::new();
        for slot in steps.iter().flat_map(|&step| &self.steps[step].inputs) {
            if matches!(slot, Slot::Step(step, _) if steps.contains(&(*step as usize))) {
                continue;
            }
            let slot = seen_as(*slot);
            if !sources.contains(&slot) {
                sources.push(slot);
            }
        }
        sources
    }

    /// What a broadcast repeats, or the value itself.
    fn unbroadcast(&self, slot: Slot) -> Slot {
        let mut slot = slot;
        while let Slot::Step(step, 0) = slot
            && let Op::View(View::Broadcast) = self.steps[step as usize].op
        {
            slot = self.steps[step as usize].inputs[0];
        }
        slot
    }
}

fn reduction(op: &Op) -> Option<&Reduce> {
    let Op::Primitive(primitive) = op else {
        return None;
    };
    let any: &dyn std::any::Any = &**primitive;
    any.downcast_ref()
}
