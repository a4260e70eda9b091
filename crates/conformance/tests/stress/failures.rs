//! Owns the proof that a failed computation fails all who wait for it, and nobody else.

use std::sync::{Arc, Barrier, Mutex};

use olivine_core::{Array, Device, Error, Stream, async_eval, eval, synchronize};

use crate::support::{Act, alone, constant, expect_all, on_threads, probe};

fn error_of(array: &Array) -> Error {
    array.eval().expect_err("what it depends on fails")
}

#[test]
fn an_error_reaches_everything_that_depends_on_it() {
    let _alone = alone();
    let good = constant(1.0, [4, 4]);
    let bad = probe(&good, Act::Fail);
    let far = bad
        .add(1.0)
        .unwrap()
        .transpose([1, 0])
        .unwrap()
        .multiply(&good)
        .unwrap();
    let error = error_of(&far);
    assert!(error.to_string().contains("this probe fails"), "{error}");
    assert_eq!(error_of(&bad), error);
    assert_eq!(error_of(&far), error, "it fails again in the same way");
    assert!(eval([&good, &far]).is_err());
    expect_all(&good, 1.0);
    expect_all(&good.add(1.0).unwrap(), 2.0);
}

#[test]
fn a_panic_in_a_kernel_is_an_error() {
    let _alone = alone();
    let bad = probe(&constant(1.0, [4, 4]), Act::Panic);
    let error = error_of(&bad.add(1.0).unwrap());
    assert!(
        matches!(error, Error::Internal { op: "probe", .. }),
        "{error}"
    );
}

#[test]
fn all_threads_that_wait_get_the_error() {
    let _alone = alone();
    const THREADS: usize = 8;
    let shared = Arc::new(Mutex::new(constant(0.0, [4, 4])));
    let barrier = Arc::new(Barrier::new(THREADS));
    let streams: [Stream; 2] = std::array::from_fn(|_| Stream::new(Device::Cpu));
    on_threads(THREADS, move |thread| {
        for round in 0..100 {
            if thread == round % THREADS {
                let act = if round % 2 == 0 {
                    Act::Fail
                } else {
                    Act::Panic
                };
                *shared.lock().unwrap() = probe(&constant(1.0, [4, 4]), act);
            }
            barrier.wait();
            let bad = shared.lock().unwrap().clone();
            let error = match thread % 3 {
                0 => error_of(&bad),
                1 => error_of(&bad.add(thread as f32).unwrap()),
                _ => {
                    let next = streams[thread % 2].scope(|| bad.add(1.0)).unwrap();
                    async_eval([&next]).wait().expect_err("its input fails")
                }
            };
            assert!(error.to_string().contains("this probe"), "{error}");
            barrier.wait();
        }
        // What went wrong is known, and is told once more.
        for stream in streams {
            let _ = synchronize(stream);
        }
    });
}
