//! Owns streams: queues of work that run concurrently with each other, each in order.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, hash_map::Entry},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use super::Device;
use crate::{Array, Error, Result};

/// A queue on a device. Work on different streams runs concurrently.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Device, Stream};
/// let side = Stream::new(Device::Cpu);
/// let y = side.scope(|| Array::from_slice(&[1.0f32, 2.0], [2])?.exp())?;
/// assert_eq!(y.stream(), side);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    device: Device,
    index: u32,
}

thread_local! {
    static CURRENT: Cell<Stream> = const { Cell::new(Stream { device: Device::Cpu, index: 0 }) };
    /// The streams that this thread made, which [`clear_streams`] ends.
    static MADE: RefCell<Vec<Stream>> = const { RefCell::new(Vec::new()) };
    /// This thread's streams of each [`ThreadLocalStream`].
    static LOCAL: RefCell<Local> = RefCell::default();
}

impl Stream {
    /// A new stream on `device`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Device, Stream};
    /// let (a, b) = (Stream::new(Device::Cpu), Stream::new(Device::Cpu));
    /// assert_ne!(a, b);
    /// ```
    pub fn new(device: Device) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let index = NEXT.fetch_add(1, Ordering::Relaxed);
        let stream = Stream { device, index };
        MADE.with_borrow_mut(|made| made.push(stream));
        stream
    }

    /// The stream that operations built on this thread are placed on.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Device, Stream};
    /// assert_eq!(Stream::current(), Stream::default_for(Device::Cpu));
    /// ```
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// The stream that every thread starts with for `device`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Device, Stream};
    /// let main = Stream::default_for(Device::Cpu);
    /// assert_eq!(main.scope(|| array!([1.0]).exp())?.stream(), main);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub const fn default_for(device: Device) -> Self {
        Stream { device, index: 0 }
    }

    /// The device this stream belongs to.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Device, Stream};
    /// assert_eq!(Stream::new(Device::Cpu).device(), Device::Cpu);
    /// ```
    pub fn device(self) -> Device {
        self.device
    }

    /// Makes this the stream that operations built on this thread are placed on from now on, and
    /// returns the one that was; [`Stream::scope`] is safer where it can be used.
    ///
    /// ```
    /// use olivine_core::{Device, Stream};
    /// let side = Stream::new(Device::Cpu);
    /// let before = side.make_current();
    /// assert_eq!(before.make_current(), side);
    /// ```
    pub fn make_current(self) -> Stream {
        CURRENT.replace(self)
    }

    /// The stream's number; 0 is the one that every thread starts with.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Runs `f`; the operations it builds are placed on this stream.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Device, Stream};
    /// let side = Stream::new(Device::Cpu);
    /// let inside = side.scope(Stream::current);
    /// assert_eq!(inside, side);
    /// assert_ne!(Stream::current(), side);
    /// ```
    pub fn scope<T>(self, f: impl FnOnce() -> T) -> T {
        struct Restore(Stream);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self));
        f()
    }
}

/// A stream that any thread may use: every stream is one, so this is [`Stream::new`].
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, array, new_thread_unsafe_stream};
/// let side = new_thread_unsafe_stream(Device::Cpu);
/// let y = std::thread::spawn(move || side.scope(|| array!([1.0, 2.0]).exp()));
/// assert_eq!(y.join().expect("the thread does not panic")?.stream(), side);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn new_thread_unsafe_stream(device: Device) -> Stream {
    Stream::new(device)
}

/// A stream of its own for every thread that uses it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, new_thread_local_stream};
/// let stream = new_thread_local_stream(Device::Cpu);
/// let here = stream.get();
/// assert_eq!(stream.get(), here);
/// let there = std::thread::spawn(move || stream.get()).join();
/// assert_ne!(there.expect("the thread does not panic"), here);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadLocalStream {
    device: Device,
    index: u32,
}

/// One thread's streams, which end with it.
#[derive(Default)]
struct Local(HashMap<u32, Stream>);

impl Drop for Local {
    fn drop(&mut self) {
        for stream in self.0.values() {
            forget(*stream);
        }
    }
}

/// A new [`ThreadLocalStream`] on `device`.
///
/// ```
/// use olivine_core::{Device, new_thread_local_stream};
/// let first = new_thread_local_stream(Device::Cpu);
/// assert_eq!(first.device(), Device::Cpu);
/// assert_ne!(first, new_thread_local_stream(Device::Cpu));
/// ```
pub fn new_thread_local_stream(device: Device) -> ThreadLocalStream {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let index = NEXT.fetch_add(1, Ordering::Relaxed);
    ThreadLocalStream { device, index }
}

impl ThreadLocalStream {
    /// The device its streams belong to.
    pub fn device(self) -> Device {
        self.device
    }

    /// This thread's stream; made when it is first asked for.
    pub fn get(self) -> Stream {
        let known = LOCAL.with_borrow(|local| local.0.get(&self.index).copied());
        known.unwrap_or_else(|| {
            let stream = Stream::new(self.device);
            LOCAL.with_borrow_mut(|local| local.0.insert(self.index, stream));
            stream
        })
    }

    /// Runs `f`; the operations it builds are placed on this thread's stream.
    pub fn scope<T>(self, f: impl FnOnce() -> T) -> T {
        self.get().scope(f)
    }
}

/// Waits for all work on the streams that this thread has made, and ends the threads behind them.
///
/// A stream that is used again afterwards starts a thread again.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Device, Stream, array, async_eval, clear_streams};
/// let y = Stream::new(Device::Cpu).scope(|| array!([1.0, 4.0]).sqrt())?;
/// let event = async_eval([&y]);
/// clear_streams();
/// assert!(event.is_done());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn clear_streams() {
    LOCAL.with_borrow_mut(|local| local.0.clear());
    // They stay listed, since a stream that is used again has a thread again.
    let made = MADE.with_borrow(Clone::clone);
    for stream in made {
        if let Some(queue) = forget(stream) {
            drain(|marker| queue.send(marker).map_err(|mpsc::SendError(job)| job));
        }
    }
}

/// Work for a stream's thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The queues of streams that have a thread. A thread ends when its queue is dropped and done.
fn queues() -> MutexGuard<'static, HashMap<Stream, mpsc::Sender<Job>>> {
    static QUEUES: OnceLock<Mutex<HashMap<Stream, mpsc::Sender<Job>>>> = OnceLock::new();
    static PROCESS: AtomicU32 = AtomicU32::new(0);
    let mut queues = QUEUES
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if PROCESS.swap(process, Ordering::Relaxed) != process {
        // A forked process has no threads but one: nobody works on the queues that it has inherited.
        std::mem::take(&mut *queues)
            .into_values()
            .for_each(std::mem::forget);
    }
    queues
}

/// Takes away a stream's queue, if it has one.
fn forget(stream: Stream) -> Option<mpsc::Sender<Job>> {
    queues().remove(&stream)
}

/// Queues a job on a stream's own thread, which starts with the first job. If the thread cannot
/// be started, the job is handed back.
pub(crate) fn submit(stream: Stream, job: Job) -> std::result::Result<(), Job> {
    let mut queues = queues();
    let queue = match queues.entry(stream) {
        Entry::Occupied(queue) => queue.into_mut(),
        Entry::Vacant(vacant) => {
            let (sender, receiver) = mpsc::channel::<Job>();
            let name = format!("olivine-{}-{}", stream.device, stream.index);
            let spawned = thread::Builder::new().name(name).spawn(move || {
                for job in receiver {
                    job();
                }
            });
            if spawned.is_err() {
                return Err(job);
            }
            vacant.insert(sender)
        }
    };
    queue.send(job).map_err(|mpsc::SendError(job)| job)
}

/// What went wrong first in work that [`async_eval`](crate::async_eval) queued, by stream.
static FAILURES: Mutex<Vec<(Stream, Error)>> = Mutex::new(Vec::new());

/// Keeps the first error of a stream's queued work for whoever waits for the stream.
pub(crate) fn failed(stream: Stream, error: &Error) {
    let mut failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    if !failures.iter().any(|(failed, _)| *failed == stream) {
        failures.push((stream, error.clone()));
    }
}

/// Forgets an error that somebody who asked for the array has been told.
pub(crate) fn told(error: &Error) {
    let mut failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    failures.retain(|(_, kept)| kept != error);
}

/// Waits until everything queued on a stream so far has run.
///
/// Returns the first error of what [`async_eval`](crate::async_eval) has queued there that nobody was told
/// who asked for an array, if there is one.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, async_eval, Device, Stream, synchronize};
/// let side = Stream::new(Device::Cpu);
/// let y = side.scope(|| array!([1.0, 2.0]).exp())?;
/// let event = async_eval([&y]);
/// synchronize(side)?;
/// assert!(event.is_done());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn synchronize(stream: Stream) -> Result<()> {
    drain(|marker| submit(stream, marker));
    let mut failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    match failures.iter().position(|(failed, _)| *failed == stream) {
        Some(place) => Err(failures.swap_remove(place).1),
        None => Ok(()),
    }
}

/// Queues a marker with `submit` and waits until it is met. A marker that is handed back runs here.
fn drain(submit: impl FnOnce(Job) -> std::result::Result<(), Job>) {
    let (sender, receiver) = mpsc::channel();
    let marker: Job = Box::new(move || {
        // The waiter may have given up; then there is nobody to tell.
        let _ = sender.send(());
    });
    match submit(marker) {
        Ok(()) => {
            // An error means the marker was dropped unrun, so nothing is queued any more.
            let _ = receiver.recv();
        }
        Err(job) => job(),
    }
}

/// The completion of an asynchronous evaluation.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, async_eval, Event};
/// let y = array!([3.0, 4.0]).square()?;
/// let event: Event = async_eval([&y]);
/// // Other work can be done here.
/// event.wait()?;
/// assert_eq!(y.to_vec::<f32>()?, [9.0, 16.0]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[must_use = "an event reports whether the evaluation succeeded"]
pub struct Event {
    pub(crate) arrays: Vec<Array>,
}

impl Event {
    /// True once every array has its values or its error.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, async_eval};
    /// let event = async_eval([&array!([1.0]).exp()?]);
    /// event.wait()?;
    /// assert!(event.is_done());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn is_done(&self) -> bool {
        self.arrays.iter().all(Array::is_evaluated)
    }

    /// Blocks until every array has its values; returns the first error.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, async_eval};
    /// let x = array!([1.0, 2.0]);
    /// let beyond = x.index(&array!([5]))?;
    /// // An error of the evaluation is reported to whoever waits.
    /// assert!(async_eval([&beyond]).wait().is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn wait(&self) -> Result<()> {
        self.arrays.iter().try_for_each(Array::wait)
    }
}
