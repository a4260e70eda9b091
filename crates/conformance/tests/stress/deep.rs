//! Owns the proof that a graph's depth is bounded by memory, not by the stack.

use olivine_core::{Array, Device, Stream, vjp};

use crate::support::{alone, constant, expect_all, on_threads};

const DEPTH: usize = 1_000_000;

fn chain(x: Array, depth: usize) -> Array {
    (0..depth).fold(x, |x, _| x.negative().unwrap())
}

#[test]
fn a_million_operations_are_built_computed_and_dropped() {
    let _alone = alone();
    on_threads(1, |_| {
        expect_all(&chain(constant(1.0, [1, 2]), DEPTH), 1.0);
    });
}

#[test]
fn a_million_operations_are_dropped_without_being_computed() {
    let _alone = alone();
    on_threads(1, |_| {
        let end = chain(constant(1.0, [1, 2]), DEPTH);
        assert!(!end.is_evaluated());
        let branch = chain(end.clone(), 1000);
        drop(end);
        drop(branch);
    });
}

#[test]
fn every_prefix_of_a_deep_chain_can_be_held() {
    let _alone = alone();
    on_threads(1, |_| {
        let mut all = vec![constant(1.0, [1, 2])];
        for i in 0..100_000 {
            all.push(all[i].negative().unwrap());
        }
        expect_all(&all[100_000], 1.0);
        expect_all(&all[99_999], -1.0);
        assert!(all.iter().all(Array::is_evaluated));
    });
}

#[test]
fn a_node_used_twice_at_every_level_is_computed_once() {
    let _alone = alone();
    on_threads(1, |_| {
        // As a tree this would have 2^10000 leaves.
        let x = (0..10_000).fold(constant(1.0, [1, 2]), |x, _| x.maximum(&x).unwrap());
        expect_all(&x, 1.0);
    });
}

#[test]
fn gradients_flow_through_deep_chains() {
    let _alone = alone();
    on_threads(1, |_| {
        let x = constant(2.0, [1, 2]);
        let ones = Array::ones([1, 2], x.dtype()).unwrap();
        let f = |x: &[Array]| Ok(vec![chain(x[0].clone(), DEPTH)]);
        let (outputs, gradients) = vjp(f, &[x], &[ones]).unwrap();
        expect_all(&gradients[0], 1.0);
        expect_all(&outputs[0], 2.0);
    });
}

#[test]
fn a_deep_chain_may_change_streams_at_every_step() {
    let _alone = alone();
    on_threads(1, |_| {
        let streams: [Stream; 2] = std::array::from_fn(|_| Stream::new(Device::Cpu));
        let mut x = constant(1.0, [1, 2]);
        for i in 0..20_000 {
            x = streams[i % 2].scope(|| x.negative()).unwrap();
        }
        expect_all(&x, 1.0);
    });
}
