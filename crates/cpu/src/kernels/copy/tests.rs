//! Owns tests of copies against a walk over every element.

use super::pack_strided;
use crate::kernels::test_inputs::Random;

/// Copies bytes of a known memory with `pack_strided` to an address that is `skew` bytes after a
/// multiple of 64, and one by one, and compares.
fn check(random: &mut Random, shape: &[usize], strides: &[isize], size: usize, skew: usize) {
    let reach = |sign: isize| -> usize {
        let axes = shape.iter().zip(strides);
        let steps = axes.map(|(&n, &s)| (s * sign).max(0) as usize * n.saturating_sub(1));
        steps.sum::<usize>() * size
    };
    let (before, after) = (reach(-1), reach(1));
    let memory: Vec<u8> = (0..before + after + size)
        .map(|_| random.below(256) as u8)
        .collect();
    let count: usize = shape.iter().product();
    let mut room = vec![0xaau8; count * size + 256];
    let start = room.as_ptr().align_offset(64) + skew;
    // SAFETY: the memory reaches as far as the strides do, and there is room for the elements.
    unsafe {
        let source = memory.as_ptr().add(before);
        pack_strided(source, shape, strides, size, room.as_mut_ptr().add(start));
    }
    let mut index = vec![0; shape.len()];
    for at in 0..count {
        let steps = index.iter().zip(strides).map(|(&i, &s)| i as isize * s);
        let from = (before as isize + steps.sum::<isize>() * size as isize) as usize;
        let to = start + at * size;
        assert!(
            room[to..to + size] == memory[from..from + size],
            "{shape:?} {strides:?} {size} {skew}: element {at}"
        );
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    let around = room[..start].iter().chain(&room[start + count * size..]);
    assert!(around.into_iter().all(|&byte| byte == 0xaa), "{shape:?}");
}

#[test]
fn transposed_arrays_of_all_sizes_are_copied() {
    let mut random = Random(5);
    for size in [1, 2, 4, 8] {
        for (rows, columns) in [
            (1, 1),
            (2, 300),
            (300, 2),
            (3, 1000),
            (7, 9),
            (8, 16),
            (16, 8),
            (64, 64),
            (65, 63),
            (128, 256),
            (200, 131),
            (129, 257),
        ] {
            for skew in [0, size, 32] {
                // The rows of the output are gapless in the source, then two elements apart.
                for step in [1, 2, -1] {
                    let jump = rows as isize * step;
                    check(&mut random, &[rows, columns], &[step, jump], size, skew);
                    check(
                        &mut random,
                        &[rows, columns],
                        &[step, -jump - 5],
                        size,
                        skew,
                    );
                }
            }
        }
    }
}

#[test]
fn any_order_of_axes_is_copied() {
    let mut random = Random(6);
    for round in 0..300 {
        let rank = 1 + random.below(4);
        let shape: Vec<usize> = (0..rank)
            .map(|_| 1 + random.below([4, 40, 9][round % 3]))
            .collect();
        let mut order: Vec<usize> = (0..rank).collect();
        for i in (1..rank).rev() {
            order.swap(i, random.below(i + 1));
        }
        let mut strides = vec![0; rank];
        let mut step = 1 + (random.below(4) == 0) as isize;
        for &axis in &order {
            strides[axis] = match random.below(8) {
                0 => 0,
                1 => -step,
                _ => step,
            };
            step *= (shape[axis] + random.below(2)) as isize;
        }
        let size = [1, 2, 4, 8][random.below(4)];
        let skew = size * random.below(3);
        check(&mut random, &shape, &strides, size, skew);
    }
}

#[test]
fn large_transposed_arrays_are_copied() {
    let mut random = Random(7);
    for size in [1, 2, 4, 8] {
        let rows = super::tiles::STREAMED / size / 1024;
        for (columns, skew) in [(1024, 0), (1024, 32), (1040, 0), (1001, 0)] {
            check(
                &mut random,
                &[rows, columns],
                &[1, rows as isize],
                size,
                skew,
            );
            check(
                &mut random,
                &[3, rows / 2, columns],
                &[1, 3, rows as isize * 3],
                size,
                skew,
            );
        }
    }
}
