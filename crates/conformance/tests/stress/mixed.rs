//! Owns the mix: eight threads that build on each other's arrays and evaluate all at once.

use std::{
    sync::{Arc, Barrier, Mutex, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant},
};

use olivine_core::{Array, Device, Stream, async_eval, eval, grad, synchronize, vjp};

use crate::support::{Act, Random, alone, constant, expect_all, on_threads, probe, seconds};

const THREADS: usize = 8;

/// An array whose elements all have the value that is told.
type Known = (Array, f32);

/// Arrays that all threads take from and put into.
struct Shared {
    arrays: Vec<Mutex<Known>>,
    streams: [Stream; 4],
}

/// Shapes on both sides of where kernels start to use several threads.
const SHAPES: [[usize; 2]; 4] = [[1, 1], [3, 5], [64, 64], [192, 256]];

impl Shared {
    fn new() -> Shared {
        Shared {
            arrays: (0..24)
                .map(|i| Mutex::new((constant(i as f32, SHAPES[i % SHAPES.len()]), i as f32)))
                .collect(),
            streams: std::array::from_fn(|_| Stream::new(Device::Cpu)),
        }
    }

    fn take(&self, random: &mut Random) -> Known {
        let slot = random.below(self.arrays.len());
        self.arrays[slot]
            .lock()
            .expect("nobody panics in a slot")
            .clone()
    }

    fn put(&self, random: &mut Random, known: Known) {
        let slot = random.below(self.arrays.len());
        *self.arrays[slot].lock().expect("nobody panics in a slot") = known;
    }

    fn stream(&self, random: &mut Random) -> Stream {
        self.streams[random.below(self.streams.len())]
    }
}

/// Records one more operation on an array, and what it does to the value.
fn step((x, value): Known, random: &mut Random) -> Known {
    let small = random.below(7) as f32;
    let (x, value) = match random.below(9) {
        0 => (x.add(small), value + small),
        1 => (x.negative(), -value),
        2 => (x.transpose([1, 0]), value),
        3 => (x.maximum(small), value.max(small)),
        4 => (x.add(&x), value + value),
        5 => (x.subtract(&x), 0.0),
        6 => {
            let [rows, columns] = [x.dim(0).unwrap(), x.dim(1).unwrap()];
            (x.reshape([columns, rows]), value)
        }
        7 => (
            x.select(x.add(1.0).unwrap(), small),
            if value == 0.0 { small } else { value + 1.0 },
        ),
        _ => (x.contiguous(), value),
    };
    let x = x.expect("the operation takes any array");
    if value.abs() < 1000.0 {
        (x, value)
    } else {
        (x.multiply(0.0).expect("a scalar can be multiplied"), 0.0)
    }
}

/// The third derivative of x⁴, computed through nested transforms.
fn nested_gradients(random: &mut Random) {
    let third = grad(grad(grad(|x: &Array| x.square()?.square())));
    let at = random.below(5) as f32;
    let found = third(&Array::scalar(at)).expect("a polynomial has derivatives");
    assert_eq!(found.item::<f32>().unwrap(), 24.0 * at);
}

/// A gradient with respect to an array that other threads evaluate meanwhile.
fn gradient_of_shared((x, value): Known) {
    let ones = Array::ones(x.shape(), x.dtype()).unwrap();
    let square = |x: &[Array]| Ok(vec![x[0].square()?]);
    let (outputs, gradients) = vjp(square, &[x], &[ones]).expect("a square has a gradient");
    expect_all(&gradients[0], 2.0 * value);
    expect_all(&outputs[0], value * value);
}

/// A chain that changes streams at every step, waited for by event.
fn across_streams(shared: &Shared, random: &mut Random) {
    let mut known = shared.take(random);
    for _ in 0..8 {
        known = shared.stream(random).scope(|| step(known, random));
    }
    let event = async_eval([&known.0]);
    if random.below(2) == 0 {
        event.wait().expect("the chain can be computed");
        assert!(event.is_done());
    }
    expect_all(&known.0, known.1);
}

/// Evaluates several arrays in one go; some may be evaluated by others at this moment.
fn several(shared: &Shared, random: &mut Random) {
    let known: Vec<Known> = (0..4).map(|_| step(shared.take(random), random)).collect();
    eval(known.iter().map(|(array, _)| array)).expect("the arrays can be computed");
    for (array, value) in &known {
        assert!(array.is_evaluated());
        expect_all(array, *value);
    }
}

/// Extends a shared array by a private chain, so that its buffers are given on to the next step.
fn private(shared: &Shared, random: &mut Random) {
    let origin = shared.take(random);
    let mut known = origin.clone();
    for _ in 0..random.below(30) {
        known = step(known, random);
    }
    expect_all(&known.0, known.1);
    // Whoever still holds the origin must find it as it was.
    expect_all(&origin.0, origin.1);
}

#[test]
fn eight_threads_build_and_evaluate_private_and_shared_graphs() {
    let _alone = alone();
    let shared = Arc::new(Shared::new());
    let end = Instant::now() + Duration::from_secs(seconds());
    let state = shared.clone();
    on_threads(THREADS, move |thread| {
        let mut random = Random(thread as u64);
        while Instant::now() < end {
            match random.below(8) {
                0 => nested_gradients(&mut random),
                1 => gradient_of_shared(state.take(&mut random)),
                2 => across_streams(&state, &mut random),
                3 => several(&state, &mut random),
                4 => private(&state, &mut random),
                5 => {
                    let known = state.take(&mut random);
                    expect_all(&known.0, known.1);
                }
                _ => {
                    let stream = state.stream(&mut random);
                    let known = state.take(&mut random);
                    let known = stream.scope(|| step(known, &mut random));
                    state.put(&mut random, known);
                }
            }
        }
    });
    for slot in &shared.arrays {
        let (array, value) = slot.lock().expect("all threads ended well").clone();
        expect_all(&array, value);
    }
    shared
        .streams
        .into_iter()
        .for_each(|stream| drop(synchronize(stream)));
}

#[test]
fn a_node_is_computed_once_however_many_threads_want_it() {
    let _alone = alone();
    let rounds = 200;
    let runs = Arc::new(AtomicU64::new(0));
    let shared = Arc::new(Mutex::new(constant(0.0, [8, 8])));
    let barrier = Arc::new(Barrier::new(THREADS));
    let (count, current) = (runs.clone(), shared);
    on_threads(THREADS, move |thread| {
        for round in 0..rounds {
            if thread == round % THREADS {
                let probe = probe(&constant(round as f32, [8, 8]), Act::Count(count.clone()));
                *current.lock().unwrap() = probe;
            }
            barrier.wait();
            let root = current.lock().unwrap().clone();
            // Half want the node itself, half what they build on it.
            if thread % 2 == 0 {
                expect_all(&root, round as f32);
            } else {
                expect_all(&root.add(1.0).unwrap(), round as f32 + 1.0);
            }
            barrier.wait();
        }
    });
    assert_eq!(runs.load(Ordering::Relaxed), rounds as u64);
}
