//! Owns evaluation: which nodes run, where, and in what order.
//!
//! A walk under one lock claims every node that still needs computing, so each node is computed
//! once however many threads ask for it, and a claim can only wait for earlier claims: waiting
//! never forms a circle. Work on one stream runs on the caller's thread without a hand-off.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use smallvec::SmallVec;

use super::{
    Inputs, Op, Pending, Spec,
    node::{Node, Outputs},
};
use crate::{
    Array, Error, Result, Stream,
    device::{Backend, Call, Event, Job, Operand, backend, failed, submit},
};

static CLAIMS: Mutex<()> = Mutex::new(());

/// A claimed node. Dropping it unrun fails the node, so that nobody waits for ever.
struct Task {
    node: Arc<Node>,
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.node.data().is_none()
            && let Some((op, _)) = self.node.take_operation()
        {
            let message = "the evaluation was abandoned".to_owned();
            self.node.fulfil(Err(Error::Internal {
                op: op.name(),
                message,
            }));
        }
    }
}

/// Computes arrays, and everything they depend on, now.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{eval, Array};
/// let x = Array::from_slice(&[1.0f32, 2.0], [2])?;
/// let (y, z) = (x.square()?, x.exp()?);
/// eval([&y, &z])?;
/// assert!(y.is_evaluated() && z.is_evaluated());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn eval<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Result<()> {
    let arrays: SmallVec<[&Array; 4]> = arrays.into_iter().collect();
    if arrays.iter().any(|array| !array.is_evaluated()) {
        let (tape, streams, lock) = claim(&arrays);
        if streams.len() <= 1 {
            drop(lock);
            run_all(tape);
        } else {
            let jobs = enqueue(tape, &streams, run_all);
            drop(lock);
            run_jobs(jobs);
        }
    }
    arrays.iter().try_for_each(|array| array.wait())
}

/// As [`eval`], but gives up when `stop`, which is asked every few hundredths of a second, says so. The
/// result is whether the arrays were computed; if not, what is left of the work goes on behind the scenes.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, eval_until};
/// let x = array!([1.0, 2.0]).exp()?;
/// assert!(eval_until(&[&x], &mut || false)?);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn eval_until(arrays: &[&Array], stop: &mut dyn FnMut() -> bool) -> Result<bool> {
    if arrays.iter().any(|array| !array.is_evaluated()) {
        let (tape, streams, lock) = claim(arrays);
        if let [stream] = streams[..] {
            drop(lock);
            if !run_until(tape, stream, stop) {
                return Ok(false);
            }
        } else {
            let jobs = enqueue(tape, &streams, run_all);
            drop(lock);
            run_jobs(jobs);
        }
        if !wait_until(arrays, stop) {
            return Ok(false);
        }
    }
    arrays.iter().try_for_each(|array| array.wait())?;
    Ok(true)
}

/// How often an evaluation asks whether it should go on.
const PATIENCE: Duration = Duration::from_millis(40);

/// Runs a tape here; when asked to stop, hands the rest to the stream's thread.
fn run_until(tape: Vec<Task>, stream: Stream, stop: &mut dyn FnMut() -> bool) -> bool {
    let mut asked = None;
    let mut tape = tape.into_iter();
    while let Some(task) = tape.next() {
        run(task);
        if tape.len() == 0 {
            break;
        }
        let now = Instant::now();
        if now.duration_since(*asked.get_or_insert(now)) > PATIENCE {
            asked = Some(now);
            if stop() {
                let rest: Vec<Task> = tape.collect();
                if let Err(job) = submit(stream, Box::new(move || run_all(rest))) {
                    job();
                }
                return false;
            }
        }
    }
    true
}

/// Waits for arrays that others compute. The pauses grow with the time that has passed.
fn wait_until(arrays: &[&Array], stop: &mut dyn FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut asked = start;
    while !arrays.iter().all(|array| array.is_evaluated()) {
        let waited = start.elapsed();
        if waited < Duration::from_micros(50) {
            thread::yield_now();
        } else {
            thread::sleep((waited / 16).min(PATIENCE / 8));
        }
        if asked.elapsed() > PATIENCE {
            asked = Instant::now();
            if stop() {
                return false;
            }
        }
    }
    true
}

/// Starts computing arrays on their streams' threads and returns at once.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{async_eval, Array};
/// let y = Array::from_slice(&[1.0f32, 2.0], [2])?.square()?;
/// let event = async_eval([&y]);
/// // …other work…
/// event.wait()?;
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn async_eval<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Event {
    let arrays: Vec<Array> = arrays.into_iter().cloned().collect();
    let pending: SmallVec<[&Array; 4]> = arrays.iter().filter(|a| !a.is_evaluated()).collect();
    if !pending.is_empty() {
        let (tape, streams, lock) = claim(&pending);
        let jobs = enqueue(tape, &streams, run_reporting);
        drop(lock);
        run_jobs(jobs);
    }
    drop(pending);
    Event { arrays }
}

/// Claims all unclaimed nodes under `arrays`: a tape in dependency order, and its streams.
fn claim(arrays: &[&Array]) -> (Vec<Task>, SmallVec<[Stream; 2]>, MutexGuard<'static, ()>) {
    let lock = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tape = Vec::new();
    let mut streams = SmallVec::new();
    let mut stack: Vec<(Task, usize)> = Vec::new();
    for array in arrays {
        stack.extend(take_on(&array.node).map(|task| (task, 0)));
        while let Some((task, next)) = stack.last_mut() {
            if let Some(input) = next_input(&task.node, next) {
                stack.push((input, 0));
            } else if let Some((task, _)) = stack.pop() {
                if !streams.contains(&task.node.stream) {
                    streams.push(task.node.stream);
                }
                tape.push(task);
            }
        }
    }
    (tape, streams, lock)
}

/// Claims one node; `None` if it has its values or is claimed already.
fn take_on(node: &Arc<Node>) -> Option<Task> {
    node.claim().then(|| Task { node: node.clone() })
}

/// Claims the first input of a claimed node, from `next` on, that still needs computing.
fn next_input(node: &Node, next: &mut usize) -> Option<Task> {
    let Pending::Recorded { inputs, .. } = &*node.pending() else {
        return None;
    };
    while let Some(input) = inputs.get(*next) {
        *next += 1;
        if let Some(task) = take_on(&input.node) {
            return Some(task);
        }
    }
    None
}

/// Queues a tape on its streams' threads; what could not be queued is returned to run here.
///
/// Called under the claim lock, so that queues hold work in the order it was claimed.
fn enqueue(tape: Vec<Task>, streams: &[Stream], run: fn(Vec<Task>)) -> Vec<Job> {
    let mut parts: SmallVec<[Vec<Task>; 2]> = streams.iter().map(|_| Vec::new()).collect();
    for task in tape {
        let stream = task.node.stream;
        let part = streams
            .iter()
            .position(|s| *s == stream)
            .expect("claim lists every stream");
        parts[part].push(task);
    }
    let queued = streams
        .iter()
        .zip(parts)
        .map(|(stream, part)| submit(*stream, Box::new(move || run(part))));
    queued.filter_map(std::result::Result::err).collect()
}

fn run_jobs(jobs: Vec<Job>) {
    for job in jobs {
        job();
    }
}

fn run_all(tape: Vec<Task>) {
    for task in tape {
        run(task);
    }
}

/// As [`run_all`], for work that nobody may wait for: errors are kept for [`crate::synchronize`].
fn run_reporting(tape: Vec<Task>) {
    for task in tape {
        run_and(task, failed);
    }
}

fn run(task: Task) {
    run_and(task, |_, _| ());
}

/// Runs a task; an error is handed to `report` before anybody can see it.
fn run_and(task: Task, report: impl FnOnce(Stream, &Error)) {
    let node = &task.node;
    let Some((op, inputs)) = node.take_operation() else {
        return;
    };
    let result = catch_unwind(AssertUnwindSafe(|| compute(node, &op, inputs)));
    let result = result.unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_else(|| "a kernel panicked".to_owned());
        Err(Error::Internal {
            op: op.name(),
            message,
        })
    });
    if let Err(error) = &result {
        report(node.stream, error);
    }
    node.fulfil(result);
}

fn compute(node: &Node, op: &Op, inputs: Inputs) -> Result<Outputs> {
    if let Op::Placeholder(transform) = op {
        let transform = transform.0;
        return Err(Error::Traced { transform });
    }
    let backend = backend(node.stream.device())?;
    if let Op::Primitive(primitive) = op
        && !backend.kernels().has(&**primitive)
    {
        return decomposed(node, &**primitive, &inputs);
    }
    let mut operands: SmallVec<[Operand; 3]> = SmallVec::new();
    for input in inputs {
        operands.push(operand(input)?);
    }
    if let Op::View(view) = op {
        let input = operands.pop().expect("a view has one input");
        return view
            .apply(input, &node.specs[0].shape, backend)
            .map(|data| [data].into());
    }
    let mut call = Call::new(backend, operands, &node.specs);
    match op {
        Op::Unary(unary) => backend.unary(*unary, &mut call)?,
        Op::Binary(binary) => backend.binary(*binary, &mut call)?,
        Op::Select => backend.select(&mut call)?,
        Op::Cast => backend.cast(&mut call)?,
        Op::Copy => backend.copy(&mut call)?,
        Op::View(_) | Op::Placeholder(_) => {}
        Op::Primitive(primitive) => {
            let missing = Err(Error::NoKernel {
                op: op.name(),
                device: backend.device(),
            });
            backend
                .kernels()
                .run(&**primitive, &mut call)
                .unwrap_or(missing)?;
        }
    }
    let outputs: Option<Outputs> = call.finish().into_iter().collect();
    outputs.ok_or_else(|| Error::Internal {
        op: op.name(),
        message: "the kernel left an output unset".to_owned(),
    })
}

/// Waits for an input's values and takes them, or shares them if others hold them too.
fn operand(mut input: Array) -> Result<Operand> {
    let index = input.index as usize;
    if let Err(error) = input.node.wait() {
        return Err(error.clone());
    }
    let Spec { shape, dtype } = input.node.specs[index].clone();
    if let Some(data) = Node::take_data(&mut input.node, index) {
        return Ok(Operand { shape, dtype, data });
    }
    match input.node.wait() {
        Ok(outputs) => Ok(Operand {
            shape,
            dtype,
            data: outputs[index].clone(),
        }),
        Err(error) => Err(error.clone()),
    }
}

/// Evaluates a primitive through its decomposition, on this thread.
fn decomposed(node: &Node, primitive: &dyn super::Primitive, inputs: &[Array]) -> Result<Outputs> {
    let outputs = node.stream.scope(|| primitive.decompose(inputs))?;
    eval_here(&outputs)?;
    outputs.iter().map(Array::data).collect()
}

/// Evaluates on this thread whatever the streams are: for work inside a running task.
fn eval_here(arrays: &[Array]) -> Result<()> {
    let arrays: SmallVec<[&Array; 4]> = arrays.iter().collect();
    let (tape, _, lock) = claim(&arrays);
    drop(lock);
    run_all(tape);
    arrays.iter().try_for_each(|array| array.wait())
}

/// Copies an operand to row-major memory.
pub(crate) fn copy_now(
    operand: Operand,
    shape: &crate::Shape,
    backend: &'static dyn Backend,
) -> Result<crate::device::Data> {
    let specs = [Spec {
        shape: shape.clone(),
        dtype: operand.dtype,
    }];
    let mut call = Call::new(backend, SmallVec::from_iter([operand]), &specs);
    backend.copy(&mut call)?;
    call.finish()
        .pop()
        .flatten()
        .ok_or_else(|| Error::Internal {
            op: "contiguous",
            message: "the kernel left its output unset".to_owned(),
        })
}
