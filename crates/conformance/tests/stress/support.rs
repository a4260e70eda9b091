//! Owns what the stress tests share: turns, time limits, random numbers, and odd operations.

use std::{
    env,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use olivine_core::{
    Array, Dtype, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Longer than anything here takes, even under a sanitizer on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long the mixed test runs.
pub(crate) fn seconds() -> u64 {
    let wanted = env::var("OLIVINE_STRESS_SECONDS").ok();
    wanted.map_or(3, |text| {
        text.parse().expect("OLIVINE_STRESS_SECONDS is a number")
    })
}

/// Lets one test run at a time, because memory counters belong to the process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on several new threads at once, each with its number; fails if one of them panics or
/// they do not end, as in a deadlock.
pub(crate) fn on_threads(count: usize, work: impl Fn(usize) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let (sender, receiver) = mpsc::channel();
    for number in 0..count {
        let (work, end) = (work.clone(), End(sender.clone()));
        let body = move || {
            let _end = end;
            work(number);
            drop(work);
        };
        // A small stack, so that recursion over a graph would overflow it.
        let builder = thread::Builder::new().stack_size(512 * 1024);
        let name = format!("stress-{number}");
        builder
            .name(name)
            .spawn(body)
            .expect("threads can be started");
    }
    for _ in 0..count {
        let panicked = receiver.recv_timeout(PATIENCE + Duration::from_secs(seconds()));
        assert!(
            !panicked.expect("the threads are stuck"),
            "a thread panicked"
        );
    }
}

/// Tells the end of a thread, and whether it is a panic.
struct End(mpsc::Sender<bool>);

impl Drop for End {
    fn drop(&mut self) {
        // Nobody listens any more if another thread has failed already.
        let _ = self.0.send(thread::panicking());
    }
}

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Fails unless every element of `array` is `wanted`.
pub(crate) fn expect_all(array: &Array, wanted: f32) {
    let values = array.to_vec::<f32>().expect("the array can be computed");
    assert_eq!(values.len(), array.size());
    if let Some(at) = values.iter().position(|&value| value != wanted) {
        panic!(
            "element {at} of shape {} is {}, not {wanted}",
            array.shape(),
            values[at]
        );
    }
}

/// What a [`Probe`] does when it is computed.
#[derive(Debug)]
pub(crate) enum Act {
    /// Waits until so many probes with this meeting are being computed at the same time.
    Meet(Arc<Meeting>),
    /// Returns an error.
    Fail,
    /// Panics.
    Panic,
    /// Counts that it ran.
    Count(Arc<AtomicU64>),
}

/// An operation that passes its input on, after an act on the thread that computes it.
#[derive(Debug)]
pub(crate) struct Probe(pub(crate) Act);

/// The array `x`, computed by a probe.
pub(crate) fn probe(x: &Array, act: Act) -> Array {
    Array::apply_one(Probe(act), [x.clone()]).expect("a probe takes any array")
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(<S::Error as ser::Error>::custom(
            "a probe stays in its process",
        ))
    }
}

impl<'a> Deserialize<'a> for Probe {
    fn deserialize<D: Deserializer<'a>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(<D::Error as de::Error>::custom(
            "a probe stays in its process",
        ))
    }
}

olivine_core::stored!(Probe);

impl Primitive for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        Ok(Specs::from_iter([Spec::new(
            inputs[0].shape(),
            inputs[0].dtype(),
        )]))
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(Some(vjp.cotangent().clone())))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.transposed(self)
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.unsupported("it would meet fewer others")
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        match &self.0 {
            Act::Meet(meeting) if !meeting.attend() => Err(failure("nobody came to the meeting")),
            Act::Fail => Err(failure("this probe fails")),
            Act::Panic => panic!("this probe panics"),
            Act::Count(count) => {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(vec![inputs[0].clone()])
            }
            Act::Meet(_) => Ok(vec![inputs[0].clone()]),
        }
    }
}

fn failure(reason: &str) -> Error {
    Error::Argument {
        op: "probe",
        reason: reason.to_owned(),
    }
}

/// A place where threads wait for each other, but not for ever.
#[derive(Debug)]
pub(crate) struct Meeting {
    wanted: usize,
    present: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    pub(crate) fn of(wanted: usize) -> Arc<Meeting> {
        Arc::new(Meeting {
            wanted,
            present: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    /// True once all are there.
    pub(crate) fn attend(&self) -> bool {
        let mut present = self.present.lock().expect("nobody panics at a meeting");
        *present += 1;
        self.changed.notify_all();
        let (present, _) = self
            .changed
            .wait_timeout_while(present, PATIENCE, |present| *present < self.wanted)
            .expect("nobody panics at a meeting");
        *present >= self.wanted
    }
}

/// A constant array that is not computed yet.
pub(crate) fn constant(value: f32, shape: [usize; 2]) -> Array {
    let zeros = Array::zeros(shape, Dtype::Float32).expect("the shape is small");
    zeros
        .add(value)
        .expect("a scalar can be added to any array")
}
