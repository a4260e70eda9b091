//! Owns streams: queues of work that run concurrently with each other, each in order.

use std::{
    cell::Cell,
    collections::{HashMap, hash_map::Entry},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use super::Device;
use crate::{Array, Result};

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
}

impl Stream {
    /// A new stream on `device`.
    pub fn new(device: Device) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Stream {
            device,
            index: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The stream that operations built on this thread are placed on.
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// The stream that every thread starts with for `device`.
    pub const fn default_for(device: Device) -> Self {
        Stream { device, index: 0 }
    }

    /// The device this stream belongs to.
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

/// Work for a stream's thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Queues a job on a stream's own thread, which starts with the first job. If the thread cannot
/// be started, the job is handed back.
pub(crate) fn submit(stream: Stream, job: Job) -> std::result::Result<(), Job> {
    static QUEUES: OnceLock<Mutex<HashMap<Stream, mpsc::Sender<Job>>>> = OnceLock::new();
    let mut queues = QUEUES
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
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

/// Waits until everything queued on a stream so far has run.
pub fn synchronize(stream: Stream) {
    let (sender, receiver) = mpsc::channel();
    let marker: Job = Box::new(move || {
        // The waiter may have given up; then there is nobody to tell.
        let _ = sender.send(());
    });
    match submit(stream, marker) {
        Ok(()) => {
            // An error means the marker was dropped unrun, so nothing is queued any more.
            let _ = receiver.recv();
        }
        Err(job) => job(),
    }
}

/// The completion of an asynchronous evaluation.
#[must_use = "an event reports whether the evaluation succeeded"]
pub struct Event {
    pub(crate) arrays: Vec<Array>,
}

impl Event {
    /// True once every array has its values or its error.
    pub fn is_done(&self) -> bool {
        self.arrays.iter().all(Array::is_evaluated)
    }

    /// Blocks until every array has its values; returns the first error.
    pub fn wait(&self) -> Result<()> {
        self.arrays.iter().try_for_each(Array::wait)
    }
}
