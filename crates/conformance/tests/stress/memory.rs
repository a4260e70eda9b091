//! Owns the proof that evaluation frees what it no longer needs, on every thread and stream.

use olivine_core::{
    Array, Device, Dtype, Result, Stream, async_eval, eval, memory, synchronize, value_and_grad,
};

use crate::support::{Act, Random, alone, constant, expect_all, on_threads, probe};

fn active() -> usize {
    memory::of(Device::Cpu).unwrap().usage().active
}

#[test]
fn counters_return_to_where_they_were() {
    let _alone = alone();
    let before = active();
    on_threads(8, |thread| {
        let mut random = Random(thread as u64);
        let stream = Stream::new(Device::Cpu);
        for _ in 0..100 {
            let size = 1 + random.below(300);
            let x = constant(1.0, [size, size]);
            let y = stream
                .scope(|| x.add(1.0))
                .unwrap()
                .transpose([1, 0])
                .unwrap();
            let failed = probe(&y, Act::Fail);
            assert!(failed.add(&x).unwrap().eval().is_err());
            let event = async_eval([&y.multiply(&x).unwrap()]);
            if random.below(2) == 0 {
                event.wait().unwrap();
            }
        }
        // What was queued is still held by the stream.
        synchronize(stream).unwrap();
        synchronize(Stream::current()).unwrap();
    });
    assert_eq!(active(), before);
}

#[test]
fn a_chain_needs_the_memory_of_two_steps() {
    let _alone = alone();
    let pool = memory::of(Device::Cpu).unwrap();
    let bytes = 256 * 256 * size_of::<f32>();
    let before = active();
    pool.reset_peak();
    let x = constant(1.0, [256, 256]);
    let end = (0..100).fold(x, |x, _| x.transpose([1, 0]).unwrap().contiguous().unwrap());
    end.eval().unwrap();
    let peak = pool.usage().peak - before;
    assert!(peak <= 3 * bytes, "{peak} bytes for steps of {bytes}");
    assert_eq!(active() - before, bytes);
}

/// One step of gradient descent on (w·x − 1)².
fn descend(w: &Array, x: &Array) -> Result<(Array, Array)> {
    let loss = |w: &Array| w.multiply(x)?.subtract(1.0)?.square()?.mean(..);
    let (loss, gradient) = value_and_grad(loss)(w)?;
    Ok((loss, w.subtract(gradient.multiply(0.1)?)?))
}

#[test]
fn ten_thousand_evaluations_do_not_grow() {
    let _alone = alone();
    let x = Array::ones([64], Dtype::Float32).unwrap();
    let mut w = Array::zeros([64], Dtype::Float32).unwrap();
    eval([&x, &w]).unwrap();
    let mut after_first_thousand = None;
    for i in 1..=10_000 {
        let (loss, next) = descend(&w, &x).unwrap();
        eval([&loss, &next]).unwrap();
        w = next;
        if i % 1000 == 0 {
            drop(loss);
            let now = (active(), resident());
            let (active, resident) = *after_first_thousand.get_or_insert(now);
            assert_eq!(now.0, active, "active bytes after {i} steps");
            assert!(
                now.1 <= resident + (4 << 20),
                "resident {resident} grew to {}",
                now.1
            );
        }
    }
    let error = w.subtract(1.0).unwrap().abs().unwrap().max(..).unwrap();
    assert!(
        error.item::<f32>().unwrap() < 1e-3,
        "the loop really learnt"
    );
}

#[test]
fn ten_thousand_asynchronous_evaluations_do_not_grow() {
    let _alone = alone();
    let stream = Stream::new(Device::Cpu);
    let mut x = constant(0.0, [32, 32]);
    let mut after_first_thousand = None;
    for i in 1..=10_000 {
        x = stream.scope(|| x.add(1.0)).unwrap();
        let event = async_eval([&x]);
        if i % 1000 == 0 {
            event.wait().unwrap();
            synchronize(stream).unwrap();
            let now = (active(), resident());
            let (active, resident) = *after_first_thousand.get_or_insert(now);
            assert_eq!(now.0, active, "active bytes after {i} steps");
            assert!(
                now.1 <= resident + (4 << 20),
                "resident {resident} grew to {}",
                now.1
            );
        }
    }
    expect_all(&x, 10_000.0);
}

/// The bytes of this process that are in memory; zero where the system does not say.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
