//! Owns runs of scalar math: an interpreter that takes a block of elements through all steps before
//! the next block, so that what lies between the steps stays in the first-level cache.
//!
//! Each step is the loop that the step alone would run, so the results are the same bits. Halves are
//! held as `f32` between steps, rounded as if they had been stored.

use olivine_core::{
    Call, Data, Dtype, Operand, Result, Shape,
    ops::fused::{Fused, Scalar, ScalarStep},
    shape::{Strides, is_contiguous},
};
use smallvec::SmallVec;

use super::{
    binary, cast,
    elementwise::{Address, BLOCK, Loop, Source, fill, gather, order_of},
    reduce::{self, Folding, RUN, Total, parts_of_rows},
    scalar::halves,
    select, unary,
};
use crate::{
    nontemporal::{LINE, NonTemporal},
    pool::parallel_for,
    simd::prefetch,
    tensor::wrong_dtype,
};

/// Where a value of the current block lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the memory of an input, from the block's position on.
    Input(usize),
    /// In a register: a block of scratch memory.
    Register(usize),
}

/// One step, ready to run.
struct Instruction {
    body: Loop,
    inputs: SmallVec<[Place; 3]>,
    register: usize,
    /// The half dtype to which the results, which are `f32`, are rounded.
    round: Option<Dtype>,
}

/// An input that is copied to a register before each block, or once if it is a single element.
struct Load {
    input: usize,
    register: usize,
    /// The half dtype that is widened on the way.
    widen: Option<Dtype>,
}

/// An output and the register with its values.
struct Store {
    output: Address,
    register: usize,
    size: usize,
    /// The half dtype that `f32` values are stored as.
    narrow: Option<Dtype>,
    /// True if they are written past the caches.
    past: bool,
}

/// Steps that together cost less than this wait for memory. Others have the time to fetch what they
/// write over, and would only lose some to another copy.
const QUICK: usize = 20;

struct Machine {
    sources: Vec<Source>,
    /// The size of each input's elements in memory.
    sizes: Vec<usize>,
    loads: Vec<Load>,
    instructions: Vec<Instruction>,
    stores: Vec<Store>,
    registers: usize,
    /// The register and the element size of the last step's values.
    last: (usize, usize),
    /// Where the last step's values go instead, if they are an output as they are.
    direct: Option<(Address, usize)>,
    cost: usize,
}

/// Room for a block of any dtype, and some more: if registers began a power of two apart, all would
/// compete for the same places of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Register([u64; BLOCK + 40]);

impl Register {
    const EMPTY: Self = Register([0; BLOCK + 40]);

    fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }
}

fn half(dtype: Dtype) -> Option<Dtype> {
    matches!(dtype, Dtype::Float16 | Dtype::BFloat16).then_some(dtype)
}

/// The size of an element in a register.
fn held(dtype: Dtype) -> usize {
    if half(dtype).is_some() {
        4
    } else {
        dtype.size()
    }
}

/// Runs the kernel.
pub(super) fn run(fused: &Fused, call: &mut Call) -> Result<()> {
    let mut shape = Shape::scalar();
    for input in call.inputs() {
        shape = shape.broadcast(&input.shape, "fused")?;
    }
    let strides: Vec<Strides> = call.inputs().iter().map(|x| stretched(x, &shape)).collect();
    let rows = shape.contiguous_strides();
    let layout = layout(fused, &shape, &strides);
    let order = if layout == rows {
        None
    } else {
        order_of(&shape, [&layout].into_iter())
    };
    let order = order.as_ref().map(|(axes, _)| &axes[..]);
    let pairs = call.inputs().iter().zip(&strides);
    let sources: Vec<Source> = pairs
        .map(|(x, strides)| Source::new((x.ptr(), strides), &shape, order, &layout))
        .collect();
    let mut machine = Machine::new(fused, call, sources)?;
    let count = shape.elements();
    let inputs = call.inputs().len();
    let starts: SmallVec<[*const u8; 4]> = call.inputs().iter().map(Operand::ptr).collect();
    let store = |machine: &Machine, value: u16, output: Address| {
        let step = usize::from(value) - inputs;
        let dtype = fused.steps[step].dtype;
        let register = machine.instructions[step].register;
        let size = dtype.size();
        let past = machine.cost < QUICK && NonTemporal::suits(count * size);
        Store {
            output,
            register,
            size,
            narrow: half(dtype),
            past: past && !replaces(&starts, output),
        }
    };
    let Some(reduce) = &fused.reduce else {
        let candidates: Vec<usize> = (0..inputs).filter(|_| fused.outputs.len() == 1).collect();
        for (i, &value) in fused.outputs.iter().enumerate() {
            let output = Address(call.reuse_or_allocate(i, layout.clone(), &candidates)?);
            machine.stores.push(store(&machine, value, output));
        }
        machine.write_directly(&starts);
        machine.run(count);
        return Ok(());
    };
    let dtype = fused.steps[fused.steps.len() - 1].dtype;
    if layout != rows {
        // The reduction goes through memory in the order in which it finds it.
        let buffer = call.scratch(count * dtype.size())?;
        let output = Address(buffer.host().as_ptr());
        machine
            .stores
            .push(store(&machine, fused.outputs[0], output));
        machine.run(count);
        let data = Data {
            buffer,
            offset: 0,
            strides: layout,
        };
        return reduce::run_on(Some(&Operand { shape, dtype, data }), reduce, call);
    }
    let missing = || wrong_dtype("fused", dtype);
    let folding = Folding::new(reduce.reduction, dtype).ok_or_else(missing)?;
    let len = reduce.axes.iter().map(|&axis| shape[axis]).product();
    let size = call.dtype(0).size();
    let output = Address(call.allocate(0)?);
    let results = call.shape(0).elements();
    machine.reduce(&folding, (results, len), half(dtype), (output, size));
    Ok(())
}

/// How the outputs lie in memory: as the last of them would if each step ran alone.
fn layout(fused: &Fused, shape: &Shape, inputs: &[Strides]) -> Strides {
    let rows = shape.contiguous_strides();
    if inputs.contains(&rows)
        && inputs
            .iter()
            .all(|x| *x == rows || x.iter().all(|&s| s == 0))
    {
        return rows;
    }
    let mut layouts: Vec<Strides> = inputs.to_vec();
    for step in &fused.steps {
        let from = || {
            step.inputs
                .iter()
                .map(|&value| &layouts[usize::from(value)])
        };
        let kept = if from().any(|strides| is_contiguous(shape, strides)) {
            None
        } else {
            order_of(shape, from())
        };
        layouts.push(kept.map_or_else(|| rows.clone(), |(_, strides)| strides));
    }
    let last = layouts[layouts.len() - 1].clone();
    let single = fused
        .outputs
        .iter()
        .all(|&value| layouts[usize::from(value)] == last);
    if single { last } else { rows }
}

/// The strides of an operand that is broadcast to `shape`.
fn stretched(operand: &Operand, shape: &Shape) -> Strides {
    let missing = shape.rank() - operand.shape.rank();
    let stride = |axis: usize| match axis.checked_sub(missing) {
        Some(own) if operand.shape[own] == shape[axis] => operand.data.strides[own],
        _ => 0,
    };
    (0..shape.rank()).map(stride).collect()
}

impl Machine {
    fn new(fused: &Fused, call: &Call, sources: Vec<Source>) -> Result<Machine> {
        let inputs = call.inputs();
        let mut machine = Machine {
            sizes: inputs.iter().map(|x| x.dtype.size()).collect(),
            loads: Vec::new(),
            instructions: Vec::new(),
            stores: Vec::new(),
            registers: 0,
            last: (0, 0),
            direct: None,
            cost: 0,
            sources,
        };
        let mut dtypes: Vec<Dtype> = Vec::new();
        let mut places: Vec<Place> = Vec::new();
        for (i, input) in inputs.iter().enumerate() {
            let widen = half(input.dtype);
            let place = match &machine.sources[i] {
                Source::Same(_) if widen.is_none() => Place::Input(i),
                Source::Same(_) | Source::One(_) | Source::Strided(..) => {
                    let register = machine.new_register();
                    machine.loads.push(Load {
                        input: i,
                        register,
                        widen,
                    });
                    Place::Register(register)
                }
            };
            places.push(place);
            dtypes.push(input.dtype);
        }
        // Registers of steps are used again once the last step that reads them has run.
        let mut last_use: Vec<usize> = vec![0; inputs.len() + fused.steps.len()];
        for (at, step) in fused.steps.iter().enumerate() {
            for &value in &step.inputs {
                last_use[usize::from(value)] = at;
            }
        }
        for &value in &fused.outputs {
            last_use[usize::from(value)] = usize::MAX;
        }
        let mut free: Vec<usize> = Vec::new();
        for (at, step) in fused.steps.iter().enumerate() {
            let register = free.pop().unwrap_or_else(|| machine.new_register());
            let (body, round, cost) = loop_of(step, &dtypes)?;
            machine.cost += cost;
            let from = step
                .inputs
                .iter()
                .map(|&value| places[usize::from(value)])
                .collect();
            machine.instructions.push(Instruction {
                body,
                inputs: from,
                register,
                round,
            });
            places.push(Place::Register(register));
            dtypes.push(step.dtype);
            for (i, &value) in step.inputs.iter().enumerate() {
                let value = usize::from(value);
                let again = step.inputs[..i].contains(&step.inputs[i]);
                if let Place::Register(register) = places[value]
                    && value >= inputs.len()
                    && last_use[value] == at
                    && !again
                {
                    free.push(register);
                }
            }
            machine.last = (register, held(step.dtype));
        }
        Ok(machine)
    }

    /// Lets the last step write its output itself, unless it is rounded on the way, is written past the
    /// caches or takes the place of an input, which steps may read after they have written.
    fn write_directly(&mut self, inputs: &[*const u8]) {
        let register = self.last.0;
        let of_last = |store: &Store| store.register == register;
        if let Some(at) = self.stores.iter().position(of_last)
            && !self.stores[at + 1..].iter().any(of_last)
        {
            let Store {
                output,
                size,
                narrow,
                past,
                ..
            } = self.stores[at];
            if narrow.is_none() && !past && !replaces(inputs, output) {
                self.stores.remove(at);
                self.direct = Some((output, size));
            }
        }
    }

    /// Computes and stores all outputs.
    fn run(&self, count: usize) {
        parallel_for(count, self.cost, |range| {
            let mut registers = self.registers(range.len());
            let past = NonTemporal::new();
            let mut done = range.start;
            while done < range.end {
                // Blocks begin with lines of the cache, wherever the first one does.
                let len = (range.end - done).min(BLOCK - done % BLOCK);
                self.block(&mut registers, done, len);
                for store in &self.stores {
                    store.run(&registers, done, len, &past);
                }
                done += len;
            }
        });
    }

    fn new_register(&mut self) -> usize {
        self.registers += 1;
        self.registers - 1
    }

    /// Registers for blocks of up to `count` elements, with the inputs of one element in theirs.
    fn registers(&self, count: usize) -> Vec<Register> {
        let mut registers = vec![Register::EMPTY; self.registers];
        for load in &self.loads {
            let Source::One(ptr) = &self.sources[load.input] else {
                continue;
            };
            let mut one = *ptr;
            let mut wide = 0f32;
            let mut size = self.sizes[load.input];
            if let Some(dtype) = load.widen {
                // SAFETY: one half is read and one float written.
                unsafe { halves::widen(dtype, one, &raw mut wide, 1) };
                one = (&raw const wide).cast();
                size = 4;
            }
            let target = registers[load.register].as_mut_ptr();
            // SAFETY: the register has room for a block of any size.
            unsafe { fill(one, target, size, count.min(BLOCK)) };
        }
        registers
    }

    /// Runs all steps for `len` elements from `position` on.
    fn block(&self, registers: &mut [Register], position: usize, len: usize) {
        let mut narrow = Register::EMPTY;
        for load in &self.loads {
            let size = self.sizes[load.input];
            let target = registers[load.register].as_mut_ptr();
            let mut from = match &self.sources[load.input] {
                Source::One(_) => continue,
                Source::Same(ptr) => ptr.wrapping_add(position * size),
                Source::Strided(ptr, loops) => {
                    let block = if load.widen.is_some() {
                        narrow.as_mut_ptr()
                    } else {
                        target
                    };
                    // SAFETY: the loops stay inside the operand; the block holds `len` elements.
                    unsafe { gather(*ptr, loops, position, len, size, block) };
                    block
                }
            };
            if let Some(dtype) = load.widen {
                // SAFETY: `len` halves lie at `from`; the register has room for as many floats.
                unsafe { halves::widen(dtype, from, target.cast(), len) };
                from = target;
            }
            debug_assert_eq!(from, target, "only halves are loaded from where they lie");
        }
        for (step, instruction) in self.instructions.iter().enumerate() {
            self.prefetch(position + BLOCK, step);
            let mut inputs = [std::ptr::null(); 3];
            for (input, place) in inputs.iter_mut().zip(&instruction.inputs) {
                *input = match *place {
                    Place::Register(register) => registers[register].as_ptr(),
                    Place::Input(i) => match &self.sources[i] {
                        Source::Same(ptr) => ptr.wrapping_add(position * self.sizes[i]),
                        Source::One(_) | Source::Strided(..) => {
                            unreachable!("other sources are loaded into registers")
                        }
                    },
                };
            }
            let output = match self.direct {
                Some((output, size)) if step + 1 == self.instructions.len() => {
                    output.get().wrapping_add(position * size)
                }
                _ => registers[instruction.register].as_mut_ptr(),
            };
            // SAFETY: every input has `len` elements, and so has the output or its register, which is no
            // input's.
            unsafe { (instruction.body)(inputs, output, len) };
            if let Some(dtype) = instruction.round {
                let block = narrow.as_mut_ptr();
                // SAFETY: `len` floats become as many halves, and floats again.
                unsafe {
                    halves::narrow(dtype, output.cast(), block.cast(), len);
                    halves::widen(dtype, block, output.cast(), len);
                }
            }
        }
    }

    /// Asks for a share of the memory that the block at `position` reads and writes. It comes while the
    /// steps before work in the cache, too long for the processor to go on reading ahead by itself.
    fn prefetch(&self, position: usize, step: usize) {
        let ask = |start: *const u8, size: usize| {
            let share = (BLOCK * size).div_ceil(self.instructions.len());
            let first = position * size + step * share;
            for at in (first..first + share).step_by(LINE) {
                prefetch(start.wrapping_add(at));
            }
        };
        for (source, &size) in self.sources.iter().zip(&self.sizes) {
            if let Source::Same(start) = source {
                ask(*start, size);
            }
        }
        for store in self.stores.iter().filter(|store| !store.past) {
            ask(store.output.get(), store.size);
        }
        if let Some((output, size)) = self.direct {
            ask(output.get(), size);
        }
    }

    /// Reduces rows of `len` elements to one result each.
    fn reduce(
        &self,
        folding: &Folding,
        (rows, len): (usize, usize),
        narrow: Option<Dtype>,
        (output, size): (Address, usize),
    ) {
        let parts = parts_of_rows(rows, len).max(1);
        let step = len.div_ceil(parts);
        let whole = |total: Total, row: usize| {
            // SAFETY: each row has an element of the output of its own.
            unsafe { (folding.finish)(total, output.get().wrapping_add(row * size)) };
        };
        if parts == 1 {
            parallel_for(rows, self.cost.saturating_mul(len), |range| {
                let mut registers = self.registers(len);
                for row in range {
                    let all = row * len..(row + 1) * len;
                    whole(self.total(folding, &mut registers, all, narrow), row);
                }
            });
            return;
        }
        for row in 0..rows {
            let totals: Vec<std::sync::OnceLock<Total>> =
                (0..parts).map(|_| std::sync::OnceLock::new()).collect();
            parallel_for(parts, self.cost.saturating_mul(step), |range| {
                let mut registers = self.registers(step);
                for part in range {
                    let from = row * len + (part * step).min(len);
                    let to = row * len + ((part + 1) * step).min(len);
                    let total = self.total(folding, &mut registers, from..to, narrow);
                    // Each part is one thread's alone.
                    let _ = totals[part].set(total);
                }
            });
            let mut totals = totals
                .into_iter()
                .filter_map(std::sync::OnceLock::into_inner);
            let first = totals.next().expect("every part has a total");
            whole(totals.fold(first, folding.join), row);
        }
    }

    /// The total of the elements in `range`.
    fn total(
        &self,
        folding: &Folding,
        registers: &mut [Register],
        range: std::ops::Range<usize>,
        narrow: Option<Dtype>,
    ) -> Total {
        let (register, mut size) = self.last;
        if narrow.is_some() {
            size = 2;
        }
        let mut run = [0u64; RUN];
        let mut total = folding.zero;
        let mut done = range.start;
        while done < range.end {
            let mut filled = 0;
            while filled < RUN && done < range.end {
                let len = (range.end - done).min(BLOCK);
                self.block(registers, done, len);
                let from = registers[register].as_ptr();
                let to = run.as_mut_ptr().cast::<u8>().wrapping_add(filled * size);
                // SAFETY: a block of results moves to its place in the run, which has room for it.
                unsafe {
                    match narrow {
                        Some(dtype) => halves::narrow(dtype, from.cast(), to.cast(), len),
                        None => to.copy_from_nonoverlapping(from, len * size),
                    }
                }
                filled += len;
                done += len;
            }
            // SAFETY: the run holds so many elements of the reduction's dtype.
            total = unsafe { (folding.absorb)(total, run.as_ptr().cast(), filled) };
        }
        total
    }
}

impl Store {
    fn run(&self, registers: &[Register], position: usize, len: usize, past: &NonTemporal) {
        let mut from = registers[self.register].as_ptr();
        let to = self.output.get().wrapping_add(position * self.size);
        let mut narrowed;
        // SAFETY: the output has `len` elements from `position` on, which are this thread's alone, and
        // registers have room for as many.
        unsafe {
            match self.narrow {
                Some(dtype) if self.past => {
                    narrowed = Register::EMPTY;
                    let halves = narrowed.as_mut_ptr();
                    halves::narrow(dtype, from.cast(), halves.cast(), len);
                    from = halves;
                }
                Some(dtype) => return halves::narrow(dtype, from.cast(), to.cast(), len),
                None => {}
            }
            if self.past {
                past.copy(from, to, len * self.size);
            } else {
                to.copy_from_nonoverlapping(from, len * self.size);
            }
        }
    }
}

/// True if the output lies where an input does.
fn replaces(inputs: &[*const u8], output: Address) -> bool {
    inputs.contains(&output.get().cast_const())
}

/// The loop of a step over values in registers, the half dtype to round to, and the cost.
fn loop_of(step: &ScalarStep, dtypes: &[Dtype]) -> Result<(Loop, Option<Dtype>, usize)> {
    let dtype = |i: usize| dtypes[usize::from(step.inputs[i])];
    let plan = match step.op {
        Scalar::Unary(op) => unary::plan(op, dtype(0), step.dtype),
        Scalar::Binary(op) => binary::plan(op, dtype(0), step.dtype),
        Scalar::Select => return Ok((select::plan(held(step.dtype)).body, None, 1)),
        Scalar::Cast => cast::plan(dtype(0), step.dtype),
    };
    let plan = plan.ok_or_else(|| wrong_dtype("fused", dtype(0)))?;
    Ok((plan.body, half(step.dtype), plan.cost))
}
