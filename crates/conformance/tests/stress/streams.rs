//! Owns the proof that streams run concurrently with each other and in order within.

use olivine_core::{Array, Device, Stream, async_eval, eval, synchronize};

use crate::support::{Act, Meeting, alone, constant, expect_all, on_threads, probe};

#[test]
fn two_streams_are_at_work_at_the_same_time() {
    let _alone = alone();
    let meeting = Meeting::of(2);
    let x = constant(1.0, [2, 2]);
    x.eval().unwrap();
    let on_new_stream = || Stream::new(Device::Cpu).scope(|| probe(&x, Act::Meet(meeting.clone())));
    // Each probe waits inside its kernel for the other: one after the other would wait for ever.
    let (left, right) = (on_new_stream(), on_new_stream());
    eval([&left, &right]).unwrap();
    expect_all(&left.add(&right).unwrap(), 2.0);
}

#[test]
fn the_caller_goes_on_while_a_stream_works() {
    let _alone = alone();
    let meeting = Meeting::of(2);
    let x = probe(&constant(3.0, [2, 2]), Act::Meet(meeting.clone()));
    let event = async_eval([&x]);
    assert!(
        !event.is_done(),
        "the kernel waits for us, so it cannot be done"
    );
    assert!(meeting.attend());
    event.wait().unwrap();
    expect_all(&x, 3.0);
}

#[test]
fn threads_that_evaluate_inline_are_at_work_at_the_same_time() {
    let _alone = alone();
    let meeting = Meeting::of(4);
    on_threads(4, move |_| {
        let x = probe(&constant(1.0, [2, 2]), Act::Meet(meeting.clone()));
        expect_all(&x, 1.0);
    });
}

#[test]
fn a_stream_waits_for_what_it_needs_from_another() {
    let _alone = alone();
    let streams: [Stream; 3] = std::array::from_fn(|_| Stream::new(Device::Cpu));
    for round in 0..200 {
        let mut x = constant(round as f32, [16, 16]);
        for hop in 0..30 {
            x = streams[hop % 3].scope(|| x.add(1.0)).unwrap();
            if hop % 7 == 0 {
                let _ = async_eval([&x]);
            }
        }
        expect_all(&x, round as f32 + 30.0);
    }
    for stream in streams {
        synchronize(stream).unwrap();
    }
}

#[test]
fn synchronize_waits_for_all_that_was_queued() {
    let _alone = alone();
    let stream = Stream::new(Device::Cpu);
    let arrays: Vec<Array> = (0..50)
        .map(|i| stream.scope(|| constant(i as f32, [64, 64])))
        .collect();
    for array in &arrays {
        let _ = async_eval([array]);
    }
    synchronize(stream).unwrap();
    assert!(arrays.iter().all(Array::is_evaluated));
}

#[test]
fn evaluating_inside_a_thread_pool_does_not_deadlock() {
    let _alone = alone();
    // More tasks than the pool has threads, all of which need one array whose kernel is itself
    // worth several threads.
    on_threads(4, |_| {
        for round in 0..40 {
            let x = constant(round as f32, [512, 512]);
            rayon::scope(|scope| {
                for task in 0..8 {
                    let x = &x;
                    scope.spawn(move |_| {
                        let y = x.add(task as f32).unwrap();
                        expect_all(&y, round as f32 + task as f32);
                    });
                }
            });
        }
    });
}
