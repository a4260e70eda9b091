//! Owns compilation: a function is traced once for each signature, simplified, and replayed.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Tree, checkpoint::filled, tape::Key};
use crate::{
    Array, Dtype, Result, Shape,
    graph::{Program, Spec},
    random,
};

static ENABLED: AtomicBool = AtomicBool::new(true);

thread_local! {
    /// How many compiled functions are being traced on this thread.
    static TRACING: Cell<u32> = const { Cell::new(0) };

    /// Whether the function that is being traced on this thread is to take other shapes later.
    static SHAPELESS: Cell<bool> = const { Cell::new(false) };

    /// Whether a function is being traced on this thread to be stored in a file.
    static EXPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the function that is being traced is to take arguments of other shapes later.
pub(crate) fn sizes_may_change() -> bool {
    SHAPELESS.get()
}

/// Whether a function is being traced on this thread to be stored in a file, as by
/// [`Program::trace`](crate::graph::Program::trace). It then must consist of plain operations.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, graph::Program, is_exporting};
/// let f = |x: &[olivine_core::Array]| {
///     assert!(is_exporting());
///     Ok(vec![x[0].exp()?])
/// };
/// Program::trace(&[array!([1.0])], f)?;
/// assert!(!is_exporting());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn is_exporting() -> bool {
    EXPORTING.get()
}

/// Whether shapes may change, until it is dropped.
struct Shapes(bool);

impl Shapes {
    fn may_change(shapeless: bool) -> Self {
        Shapes(SHAPELESS.replace(shapeless))
    }
}

impl Drop for Shapes {
    fn drop(&mut self) {
        SHAPELESS.set(self.0);
    }
}

/// Runs `f` as part of a function that is traced to be stored.
pub(crate) fn export<R>(shapeless: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            EXPORTING.set(self.0);
        }
    }
    let _restore = Restore(EXPORTING.replace(true));
    let _shapes = Shapes::may_change(shapeless);
    let _tracing = Tracing::start();
    f()
}

/// Lets compiled functions run without being traced, from any thread, until [`enable_compile`].
///
/// It helps to find a mistake: a debugger then sees the function itself run, with values.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, compile, disable_compile};
/// use std::cell::Cell;
/// let calls = Cell::new(0);
/// let f = compile(|x: &Array| {
///     calls.set(calls.get() + 1);
///     x.exp()
/// });
/// disable_compile();
/// (f(&array!([1.0]))?, f(&array!([2.0]))?);
/// assert_eq!(calls.get(), 2);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn disable_compile() {
    ENABLED.store(false, Ordering::Relaxed);
}

/// Undoes [`disable_compile`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, compile, disable_compile, enable_compile};
/// use std::cell::Cell;
/// let calls = Cell::new(0);
/// let f = compile(|x: &Array| {
///     calls.set(calls.get() + 1);
///     x.exp()
/// });
/// disable_compile();
/// enable_compile();
/// (f(&array!([1.0]))?, f(&array!([2.0]))?);
/// assert_eq!(calls.get(), 1);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn enable_compile() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// How a function is compiled.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, compile_with, CompileOptions};
/// let double = compile_with(CompileOptions { shapeless: true }, |x: &Array| x.multiply(2));
/// assert_eq!(double(&array!([1, 2]))?.to_vec::<i32>()?, [2, 4]);
/// // Not traced again for another length.
/// assert_eq!(double(&array!([1, 2, 3]))?.to_vec::<i32>()?, [2, 4, 6]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompileOptions {
    /// Whether arguments of other shapes, but of the same ranks and dtypes, use the same trace.
    ///
    /// Sizes that the function takes from its arguments' shapes stay those of the first call; sizes
    /// that operations work out follow the arguments. A trace that has no meaning for a shape is an
    /// error.
    pub shapeless: bool,
}

/// What a trace is kept under: structure, and dtypes and shapes, or ranks, of the arguments.
#[derive(PartialEq, Eq, Hash)]
struct Signature {
    structure: Vec<u64>,
    arrays: Vec<(Dtype, Shape)>,
}

impl Signature {
    fn of(arguments: &[Array], structure: Vec<u64>, shapeless: bool) -> Self {
        let shape = |x: &Array| {
            if shapeless {
                Shape::from([x.ndim()])
            } else {
                x.shape().clone()
            }
        };
        let arrays = arguments.iter().map(|x| (x.dtype(), shape(x))).collect();
        Signature { structure, arrays }
    }
}

/// Whether compiled functions are to be called as they are, untraced: because compilation is disabled, or
/// because one that is being traced calls them, and what they do becomes part of it.
pub fn runs_untraced() -> bool {
    !ENABLED.load(Ordering::Relaxed) || TRACING.get() > 0
}

/// One trace of a function of arrays, for callers that keep traces by signatures of their own;
/// [`compile`] is for all others.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, CompileOptions, Trace};
/// let x = array!([1.0, 2.0]);
/// let mut trace = Trace::record(CompileOptions::default(), &[x.clone()], |x| Ok(vec![x[0].add(1.0)?]))?;
/// trace.optimize()?;
/// assert_eq!(trace.call(vec![x])?[0].to_vec::<f32>()?, [2.0, 3.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub struct Trace {
    program: Program,
    /// Whether the function draws random numbers: then the state is the last argument and output.
    random: bool,
}

impl Trace {
    /// Calls `f` with arrays like `arguments` that have no values, and records what it does.
    pub fn record(
        options: CompileOptions,
        arguments: &[Array],
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Trace> {
        let _tracing = Tracing::start();
        let _shapes = Shapes::may_change(options.shapeless);
        let mut specs: Vec<Spec> = arguments.iter().map(|x| x.spec().clone()).collect();
        specs.push(Spec::new([2], Dtype::Uint32));
        let mut random = false;
        let mut program = Program::record("compile", specs, |placeholders| {
            let (state, placeholders) = placeholders
                .split_last()
                .expect("the random state is the last argument");
            let (mut outputs, next) = random::traced(state.clone(), || f(placeholders))?;
            random = !Arc::ptr_eq(&next.node, &state.node);
            if random {
                outputs.push(next);
            }
            Ok(outputs)
        })?;
        if !random {
            program.inputs.pop();
        }
        program.shapeless = options.shapeless;
        Ok(Trace { program, random })
    }

    /// Whether what the function captured is one of `arrays`, or is still to be computed from one.
    pub fn captures(&self, arrays: &[Array]) -> bool {
        let wanted: HashSet<Key> = arrays.iter().map(|x| Arc::as_ptr(&x.node)).collect();
        let mut seen: HashSet<Key> = HashSet::new();
        let mut stack: Vec<Array> = self.program.constants.clone();
        while let Some(array) = stack.pop() {
            let key = Arc::as_ptr(&array.node);
            if wanted.contains(&key) {
                return true;
            }
            if seen.insert(key)
                && array.node.data().is_none()
                && let Some((_, inputs)) = array.node.history()
            {
                stack.extend(inputs);
            }
        }
        false
    }

    /// Whether the function captured an array of a transform that is running. The trace is of no use
    /// once that has ended.
    pub fn is_passing(&self) -> bool {
        self.program.captures_traced()
    }

    /// Computes what does not depend on the arguments and leaves fewer and larger steps.
    pub fn optimize(&mut self) -> Result<()> {
        self.program.fold()?;
        self.program.simplify();
        Ok(())
    }

    /// The results for arguments of the dtypes and shapes, or ranks, of those that were traced.
    pub fn call(&self, mut arguments: Vec<Array>) -> Result<Vec<Array>> {
        if self.random {
            arguments.push(random::state());
        }
        let mut outputs = self.program.call(&arguments)?;
        if let Some(state) = outputs.pop_if(|_| self.random) {
            random::set_state(&state)?;
        }
        Ok(outputs)
    }
}

/// A traced function and a result to put its outputs into.
struct Traced<R> {
    trace: Trace,
    result: R,
}

/// The function that does what `f` does, but traces it only once for arguments of the same shapes and
/// dtypes, and then repeats what it recorded: equal operations once, unused ones not at all, and runs
/// of scalar math, with a reduction at their end, in one pass over memory. The results are the same
/// bits as `f`'s, with one exception: of several results of one pass all lie row-major in memory if they
/// would not all lie alike, and a sum that follows adds in the order of memory.
///
/// Arrays that `f` captures become part of what was recorded, and so does whatever else it does with
/// values: they must not be asked for while it is traced, which is an error. A function with a state
/// takes it by [`compile_with_state`]. Draws of random numbers without a key go on from call to call.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, compile, Array};
/// let gelu = compile(|x: &Array| x.multiply(x.multiply(1.702)?.sigmoid()?));
/// assert_eq!(gelu(&array!([0.0, 1.0]))?.to_vec::<f32>()?, [0.0, 0.8457958]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn compile<T: Tree, R: Tree>(f: impl Fn(&T) -> Result<R>) -> impl Fn(&T) -> Result<R> {
    compile_with(CompileOptions::default(), f)
}

/// As [`compile`], with options.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, compile_with, Array, CompileOptions};
/// use std::cell::Cell;
/// let traces = Cell::new(0);
/// let f = compile_with(CompileOptions { shapeless: true }, |x: &Array| {
///     traces.set(traces.get() + 1);
///     x.add(1.0)?.sum(..)
/// });
/// assert_eq!(f(&array!([1.0, 2.0]))?.item::<f32>()?, 5.0);
/// assert_eq!(f(&array!([1.0, 2.0, 3.0]))?.item::<f32>()?, 9.0);
/// assert_eq!(traces.get(), 1);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn compile_with<T: Tree, R: Tree>(
    options: CompileOptions,
    f: impl Fn(&T) -> Result<R>,
) -> impl Fn(&T) -> Result<R> {
    let cache: Mutex<HashMap<Signature, Arc<Traced<R>>>> = Mutex::default();
    move |argument| {
        if runs_untraced() {
            return f(argument);
        }
        let arguments = argument.leaves();
        let mut structure = Vec::new();
        argument.structure(&mut structure);
        let signature = Signature::of(&arguments, structure, options.shapeless);
        let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&signature).cloned();
        let traced = if let Some(traced) = known {
            traced
        } else {
            let traced = Arc::new(trace(options, &f, argument, &arguments)?);
            if !traced.trace.is_passing() {
                lock().insert(signature, traced.clone());
            }
            traced
        };
        filled(&traced.result, &traced.trace.call(arguments)?)
    }
}

/// As [`compile_with`], for a function that changes a state: arrays that it reads and replaces, such as
/// parameters and what an optimiser keeps.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, compile_with_state, Array, CompileOptions};
/// let count = compile_with_state(CompileOptions::default(), |total: &mut Array, x: &Array| {
///     *total = total.add(x)?;
///     total.multiply(2)
/// });
/// let mut total = array!(1);
/// assert_eq!(count(&mut total, &array!(3))?.item::<i32>()?, 8);
/// assert_eq!(total.item::<i32>()?, 4);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn compile_with_state<S: Tree + Clone, T: Tree + Clone, R: Tree>(
    options: CompileOptions,
    f: impl Fn(&mut S, &T) -> Result<R>,
) -> impl Fn(&mut S, &T) -> Result<R> {
    let pure = compile_with(options, move |(state, argument): &(S, T)| {
        let mut state = state.clone();
        let result = f(&mut state, argument)?;
        Ok((state, result))
    });
    move |state, argument| {
        let (next, result) = pure(&(state.clone(), argument.clone()))?;
        *state = next;
        Ok(result)
    }
}

/// Counts a trace as running until it is dropped.
struct Tracing;

impl Tracing {
    fn start() -> Self {
        TRACING.set(TRACING.get() + 1);
        Tracing
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        TRACING.set(TRACING.get() - 1);
    }
}

fn trace<T: Tree, R: Tree>(
    options: CompileOptions,
    f: &impl Fn(&T) -> Result<R>,
    argument: &T,
    arguments: &[Array],
) -> Result<Traced<R>> {
    let mut result = None;
    let mut trace = Trace::record(options, arguments, |placeholders| {
        let value = f(&filled(argument, placeholders)?)?;
        let outputs = value.leaves();
        // The structure is what is kept: the arrays in it hold the whole trace.
        let empty = Array::scalar(0u8);
        result = Some(value.map(&mut |_| Ok(empty.clone()))?);
        Ok(outputs)
    })?;
    trace.optimize()?;
    let result = result.expect("tracing has called the function");
    Ok(Traced { trace, result })
}
