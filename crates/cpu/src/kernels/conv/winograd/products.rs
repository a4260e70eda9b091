//! Owns the products of points: those of a block of tiles with the packed ones of the weights, summed over
//! the channels. The tiles are those of products of matrices, but the elements of a tile's rows lie a line
//! of the cache apart, as the points are written.

use super::{CHUNK, Layout, POINTS};
use crate::{isa::per_isa, simd::Lanes};

/// For each point, writes the product of the tiles of a block and the weights.
pub(super) fn multiply(layout: Layout, left: *const f32, packed: *const f32, sums: *mut f32) {
    for point in 0..POINTS {
        let product = Product {
            layout,
            left: left.wrapping_add(point * layout.left_step()),
            right: packed.wrapping_add(point * layout.columns * layout.channels),
            to: sums.wrapping_add(point * layout.sums_step()),
        };
        multiply_point(product);
    }
}

/// The product of one point.
#[derive(Clone, Copy)]
struct Product {
    layout: Layout,
    left: *const f32,
    right: *const f32,
    to: *mut f32,
}

per_isa! {
    /// Multiplies tiles with weights.
    fn multiply_point(whole: Product) = multiply_point_body;
}

#[inline(always)]
fn multiply_point_body<S: Lanes>(whole: Product) {
    let layout = whole.layout;
    let wide = S::TILE.1 * S::N;
    for column in (0..layout.columns).step_by(wide) {
        let right = whole.right.wrapping_add(column * layout.channels);
        for panel in 0..layout.panels {
            let first = panel * layout.height;
            let rows = layout.height.min(layout.tiles - first).next_multiple_of(2);
            let product = Product {
                left: whole.left.wrapping_add(panel * layout.panel()),
                right,
                to: whole.to.wrapping_add(first * layout.columns + column),
                layout,
            };
            macro_rules! sizes {
                ($($rows:literal)*) => {
                    match rows {
                        // SAFETY: the panels hold so many rows and columns.
                        $($rows if const { $rows <= S::TILE.0 } => unsafe {
                            if S::TILE.1 == 1 || layout.out_channels - column <= S::N {
                                multiply_tile::<S, $rows, 1>(product);
                            } else {
                                multiply_tile::<S, $rows, 2>(product);
                            }
                        },)*
                        _ => unreachable!("no panel has {rows} rows"),
                    }
                };
            }
            sizes!(2 4 6 8 10 12 14);
        }
    }
}

/// Multiplies one panel of each side.
///
/// # Safety
/// The panels must hold `R` rows and columns for the width of a tile, and the sums have room.
#[inline(always)]
unsafe fn multiply_tile<S: Lanes, const R: usize, const V: usize>(product: Product) {
    let layout = product.layout;
    let mut sums = [[S::splat(0.0); V]; R];
    let (mut left, mut right) = (product.left, product.right);
    for chunk in (0..layout.channels).step_by(CHUNK) {
        for channel in 0..CHUNK.min(layout.channels - chunk) {
            // SAFETY: the caller promises whole panels.
            unsafe {
                add_rows::<S, R, V>(left.wrapping_add(channel), right, &mut sums);
                right = right.add(S::TILE.1 * S::N);
            }
        }
        left = left.wrapping_add(layout.height * CHUNK);
    }
    // Written out, since an iterator over the array would keep it in memory.
    macro_rules! rows {
        ($($row:literal)*) => {$(
            if $row < R {
                for (j, &sum) in sums[$row].iter().enumerate() {
                    // SAFETY: the caller promises room.
                    unsafe { S::store(sum, product.to.add($row * layout.columns + j * S::N)) };
                }
            }
        )*};
    }
    rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
}

/// Adds the products of `R` elements, a chunk apart, with `V` vectors of them.
///
/// # Safety
/// The elements must be readable.
#[inline(always)]
unsafe fn add_rows<S: Lanes, const R: usize, const V: usize>(
    left: *const f32,
    right: *const f32,
    sums: &mut [[S::F; V]; R],
) {
    let mut b = [S::splat(0.0); V];
    for (j, b) in b.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *b = unsafe { S::load(right.add(j * S::N)) };
    }
    macro_rules! rows {
        ($($row:literal)*) => {$(
            if $row < R {
                // As in products of matrices, words come from registers and from memory in turn.
                if $row % 2 == 0 {
                    // SAFETY: the caller's promise.
                    let a = S::splat(unsafe { left.add($row * CHUNK).read() });
                    for (sum, &b) in sums[$row].iter_mut().zip(&b) {
                        *sum = S::mul_add(a, b, *sum);
                    }
                } else {
                    for (sum, &b) in sums[$row].iter_mut().zip(&b) {
                        // SAFETY: the caller's promise.
                        *sum = unsafe { S::mul_add_at::<{ $row * CHUNK }>(left, b, *sum) };
                    }
                }
            }
        )*};
    }
    rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
}
