//! Owns what the list of ops says of indexing; `array::index` owns its meaning.

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{Ellipsis, Index, NewAxis, step};

pub(super) fn ops() -> Vec<OpInfo> {
    let op = |name, doc, signature, samples| OpInfo {
        name,
        doc,
        signature,
        family: Family::Indexing,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples,
    };
    vec![
        op("slice", "A part of an array.", "slice(x, start_indices, axes, slice_size)", || {
            let x = || [Input::any([5, 4])];
            vec![
                Sample::new("[1:3, :]", x(), |x| x[0].index((1..3, ..))),
                Sample::new("[::2, 1:]", x(), |x| x[0].index((step(.., 2), 1..))),
                Sample::new("[::-1, 3:0:-2]", x(), |x| {
                    let down = Index::Slice { start: Some(3), stop: Some(0), step: -2 };
                    x[0].index((step(.., -1), down))
                }),
                Sample::new("[-2:, :-1]", x(), |x| x[0].index((-2.., ..-1))),
                Sample::new("[9:, :]", x(), |x| x[0].index((9.., ..))),
                Sample::new("from", [Input::any([5, 4]), Input::index([2], 3)], |x| {
                    x[0].slice(&x[1], &[1, 0], [2, 2])
                }),
                Sample::new("from", [Input::any([5, 4]), Input::index([], 3)], |x| {
                    x[0].slice(&x[1], &[1], [3, 2])
                }),
            ]
        }),
        op("index", "The elements that positions, ranges and arrays select.", "x[...]", || {
            let one = || [Input::any([3, 4, 5]), Input::index([2], 3)];
            let two = || [Input::any([3, 4, 5]), Input::index([2], 3), Input::index([2, 1], 5)];
            vec![
                Sample::new("[-1, ..., newaxis]", [Input::any([3, 4])], |x| {
                    x[0].index((-1, Ellipsis, NewAxis))
                }),
                Sample::new("[a]", one(), |x| x[0].index(&x[1])),
                Sample::new("[a, 1:3]", one(), |x| x[0].index((&x[1], 1..3))),
                Sample::new("[:, ::-1, a]", one(), |x| x[0].index((.., step(.., -1), &x[1]))),
                Sample::new("[a, :, b]", two(), |x| x[0].index((&x[1], .., &x[2]))),
                Sample::new("[a, 1, b]", two(), |x| x[0].index((&x[1], 1, &x[2]))),
            ]
        }),
    ]
}
