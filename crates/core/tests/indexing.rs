//! Indexing, shaping, printing and literals, through the public API.

#![expect(
    clippy::reversed_empty_ranges,
    reason = "negative bounds count from the end, and backward ranges go down"
)]

use olivine_core::{
    Array, Dtype, Ellipsis, Error, NewAxis, Result, array, grad,
    ops::{pad::Border, scatter::Combine},
    step, vmap,
};
use olivine_cpu as _;

fn counted(shape: &[usize]) -> Result<Array> {
    Array::arange(0, shape.iter().product::<usize>() as i32, 1)?.reshape(shape)
}

fn dims(x: &Array) -> Vec<usize> {
    x.shape().to_vec()
}

#[test]
fn integers_and_ranges_select_as_in_numpy() -> Result<()> {
    let x = counted(&[3, 4])?;
    let v = counted(&[6])?;
    assert_eq!(x.index(-1)?.to_vec::<i32>()?, [8, 9, 10, 11]);
    assert_eq!(x.index((1, 2usize))?.item::<i32>()?, 6);
    assert_eq!(v.index(1..-1)?.to_vec::<i32>()?, [1, 2, 3, 4]);
    assert_eq!(v.index(..=-2)?.to_vec::<i32>()?, [0, 1, 2, 3, 4]);
    assert_eq!(v.index(4..=-1)?.to_vec::<i32>()?, [4, 5]);
    assert_eq!(v.index(-2i64..)?.to_vec::<i32>()?, [4, 5]);
    assert_eq!(v.index(-100..100)?.size(), 6);
    assert_eq!(v.index(4..2)?.size(), 0);
    assert_eq!(v.index(step(5..1, -2))?.to_vec::<i32>()?, [5, 3]);
    assert_eq!(v.index(step(10..2, -1))?.to_vec::<i32>()?, [5, 4, 3]);
    assert_eq!(v.index(step(-1..-4, -1))?.to_vec::<i32>()?, [5, 4, 3]);
    assert_eq!(v.index(step(.., i64::MIN))?.to_vec::<i32>()?, [5]);
    assert_eq!(
        x.index((step(.., -2), step(.., -1)))?.to_vec::<i32>()?,
        [11, 10, 9, 8, 3, 2, 1, 0]
    );
    assert_eq!(x.index((Ellipsis, 0))?.to_vec::<i32>()?, [0, 4, 8]);
    assert_eq!(dims(&x.index((NewAxis, .., NewAxis, 1..3))?), [1, 3, 1, 2]);
    assert_eq!(dims(&x.index((Ellipsis, NewAxis))?), [3, 4, 1]);
    assert_eq!(x.index(())?.size(), 12);
    Ok(())
}

#[test]
fn impossible_indices_are_typed_errors() -> Result<()> {
    let x = counted(&[3, 4])?;
    let outside = Error::Index {
        op: "index",
        index: -5,
        axis: 1,
        size: 4,
    };
    assert_eq!(x.index((0, -5)).unwrap_err(), outside);
    assert!(matches!(
        x.index(3),
        Err(Error::Index {
            index: 3,
            axis: 0,
            ..
        })
    ));
    assert!(matches!(x.index(i64::MIN), Err(Error::Index { .. })));
    assert!(matches!(x.index((0, 0, 0)), Err(Error::Argument { .. })));
    assert!(matches!(
        x.index((Ellipsis, Ellipsis)),
        Err(Error::Argument { .. })
    ));
    assert!(matches!(x.index(step(.., 0)), Err(Error::Argument { .. })));
    assert!(matches!(
        x.index(array!([true, false, true])),
        Err(Error::Dtype { .. })
    ));
    assert!(matches!(
        x.index((&array!([0, 1]), &array!([0, 1, 2]))),
        Err(Error::Broadcast { .. })
    ));
    assert!(matches!(
        x.index(array!([0, 7]))?.eval(),
        Err(Error::Index { index: 7, .. })
    ));
    Ok(())
}

#[test]
fn arrays_broadcast_together_and_stand_where_numpy_puts_them() -> Result<()> {
    let x = counted(&[3, 4])?;
    assert_eq!(
        x.index((&array!([0, 2]), &array!([1, 3])))?
            .to_vec::<i32>()?,
        [1, 11]
    );
    let outer = x.index((&array!([[0], [2]]), &array!([1, 3])))?;
    assert_eq!(
        (dims(&outer), outer.to_vec::<i32>()?),
        (vec![2, 2], vec![1, 3, 9, 11])
    );
    assert_eq!(
        x.index((.., &array!([0, 2])))?.to_vec::<i32>()?,
        [0, 2, 4, 6, 8, 10]
    );
    assert_eq!(dims(&x.index((&array!([0, 2]), .., NewAxis))?), [2, 4, 1]);
    let y = counted(&[2, 3, 4])?;
    let at = array!([0, 1]);
    let together = y.index((.., &at, &at))?;
    assert_eq!(
        (dims(&together), together.to_vec::<i32>()?),
        (vec![2, 2], vec![0, 5, 12, 17])
    );
    let apart = y.index((&at, .., &at))?;
    assert_eq!(
        (dims(&apart), apart.to_vec::<i32>()?),
        (vec![2, 3], vec![0, 4, 8, 13, 17, 21])
    );
    let with_new = y.index((&at, NewAxis, .., &at))?;
    assert_eq!(dims(&with_new), [2, 1, 3]);
    assert_eq!(with_new.to_vec::<i32>()?, [0, 4, 8, 13, 17, 21]);
    let integer = y.index((0, .., &at))?;
    assert_eq!(
        (dims(&integer), integer.to_vec::<i32>()?),
        (vec![2, 3], vec![0, 4, 8, 1, 5, 9])
    );
    let beside = y.index((.., 1, &at))?;
    assert_eq!(
        (dims(&beside), beside.to_vec::<i32>()?),
        (vec![2, 2], vec![4, 5, 16, 17])
    );
    let sliced = y.index((1.., 1.., &array!([[-1]])))?;
    assert_eq!(
        (dims(&sliced), sliced.to_vec::<i32>()?),
        (vec![1, 2, 1, 1], vec![19, 23])
    );
    Ok(())
}

#[test]
fn updates_change_only_the_selection() -> Result<()> {
    let (x, v) = (counted(&[3, 4])?, counted(&[6])?);
    let y = x.index_update((0..2, step(.., 2)), 7)?;
    assert_eq!(y.to_vec::<i32>()?, [7, 1, 7, 3, 7, 5, 7, 7, 8, 9, 10, 11]);
    let y = x.index_update((step(.., -1), 0), array!([1, 2, 3]))?;
    assert_eq!(y.to_vec::<i32>()?, [3, 1, 2, 3, 2, 5, 6, 7, 1, 9, 10, 11]);
    assert_eq!(
        v.index_update(0..3, 2.7)?.to_vec::<i32>()?,
        [2, 2, 2, 3, 4, 5]
    );
    let at = array!([0, 0, 1]);
    let updates = array!([1, 2, 3]);
    assert_eq!(
        v.index_update(&at, &updates)?.to_vec::<i32>()?,
        [2, 3, 2, 3, 4, 5]
    );
    assert_eq!(
        v.index_add(&at, &updates)?.to_vec::<i32>()?,
        [3, 4, 2, 3, 4, 5]
    );
    let greater = v.index_combine(Combine::Maximum, &at, array!([5, 9, 3]))?;
    assert_eq!(greater.to_vec::<i32>()?, [9, 3, 2, 3, 4, 5]);
    let y = x.index_update((1.., &array!([0, -1])), array!([[100], [200]]))?;
    assert_eq!(
        y.to_vec::<i32>()?,
        [0, 1, 2, 3, 100, 5, 6, 100, 200, 9, 10, 200]
    );
    let y =
        counted(&[2, 2, 2])?.index_update((&array!([0, 1]), .., 0), array!([[9, 8], [7, 6]]))?;
    assert_eq!(y.to_vec::<i32>()?, [9, 1, 8, 3, 7, 5, 6, 7]);
    let y = x.index_update(array!([true, false, true]), 0)?;
    assert_eq!(y.to_vec::<i32>()?, [0, 0, 0, 0, 4, 5, 6, 7, 0, 0, 0, 0]);
    assert!(x.index_update((1, ..), array!([1, 2])).is_err());
    assert_eq!(
        x.index_add((.., 1), 1)?.index((.., 1))?.to_vec::<i32>()?,
        [2, 6, 10]
    );
    assert_eq!(x.to_vec::<i32>()?, (0..12).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn masks_stand_beside_ranges_and_integers() -> Result<()> {
    let x = counted(&[2, 3, 4])?;
    let (rows, grid) = (
        array!([true, false, true]),
        array!([[true, false, true], [false, true, false]]),
    );
    let values = |y: Array| y.to_vec::<i32>();
    let with = |change: &dyn Fn(usize, usize, usize) -> Option<i32>| -> Vec<i32> {
        let places = (0..24).map(|i| (i, change(i / 12, i / 4 % 3, i % 4)));
        places.map(|(i, new)| new.unwrap_or(i as i32)).collect()
    };
    let on = |row: usize| row != 1;
    let middle = values(x.index_update((.., &rows, 1..3), -1)?)?;
    let want = with(&|_, row, column| (on(row) && (1..3).contains(&column)).then_some(-1));
    assert_eq!(middle, want);
    // A value for each selected row, broadcast over what comes before.
    let each = array!([[-1, -2], [-3, -4]]);
    let middle = values(x.index_update((.., &rows, step(.., 2)), &each)?)?;
    let want = with(&|_, row, column| {
        (on(row) && column % 2 == 0).then(|| -1 - row as i32 - column as i32 / 2)
    });
    assert_eq!(middle, want);
    // An integer beside the mask leaves no axis; one that is apart brings the mask's axis in front.
    let beside = values(x.index_update((1, &rows), array!([[-1], [-2]]))?)?;
    let want = with(&|first, row, _| (first == 1 && on(row)).then(|| -1 - row as i32 / 2));
    assert_eq!(beside, want);
    let columns = array!([true, false, false, true]);
    let apart = values(x.index_update((0, .., &columns), array!([[-1], [-2]]))?)?;
    let want =
        with(&|first, _, column| (first == 0 && column % 3 == 0).then(|| -1 - column as i32 / 3));
    assert_eq!(apart, want);
    let both = values(x.index_add((&grid, NewAxis, -1), array!([[10], [20], [30]]))?)?;
    let mut want: Vec<i32> = (0..24).collect();
    (want[3], want[11], want[19]) = (13, 31, 49);
    assert_eq!(both, want);
    let last = values(x.index_update((Ellipsis, &columns), 0)?)?;
    assert_eq!(last, with(&|_, _, column| (column % 3 == 0).then_some(0)));
    let whole = values(x.index_update((array!(true), 0), 0)?)?;
    assert_eq!(whole, with(&|first, _, _| (first == 0).then_some(0)));
    Ok(())
}

#[test]
fn masks_have_gradients_and_batches() -> Result<()> {
    let (x, mask) = (
        Array::arange(0.0f32, 12.0, 1.0)?.reshape([3, 4])?,
        array!([true, false, false, true]),
    );
    let update = |x: &Array, v: &Array| x.index_update((1.., &mask), v)?.square()?.sum(..);
    let v = array!([[1.0, 2.0]]);
    let of_x = grad(|x: &Array| update(x, &v))(&x)?;
    assert_eq!(
        of_x.to_vec::<f32>()?,
        [
            0.0, 2.0, 4.0, 6.0, 0.0, 10.0, 12.0, 0.0, 0.0, 18.0, 20.0, 0.0
        ]
    );
    let of_v = grad(|v: &Array| update(&x, v))(&v)?;
    assert_eq!(of_v.to_vec::<f32>()?, [4.0, 8.0]);
    let masks = array!([[true, false, false, true], [false, true, true, false]]);
    let batched = vmap(|m: &Array| x.index_update((1.., m), &v), 0, 0)(&masks)?;
    for i in 0..2 {
        let alone = x.index_update((1.., &masks.index(i)?), &v)?;
        assert_eq!(batched.index(i)?.to_vec::<f32>()?, alone.to_vec::<f32>()?);
    }
    Ok(())
}

#[test]
fn masks_that_do_not_fit_are_refused() -> Result<()> {
    let x = counted(&[2, 3])?;
    let mask = array!([true, false]);
    assert!(matches!(x.index(&mask), Err(Error::Dtype { .. })));
    assert!(matches!(
        x.index_update((.., &mask), 0),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        x.index_update((&mask, &array!([0, 1])), 0),
        Err(Error::Argument { .. })
    ));
    assert!(matches!(
        x.index_update((&mask, &array!([true, true, false])), 0),
        Err(Error::Argument { .. })
    ));
    assert!(x.index_update((array!([[[true]]]), 0), 0).is_err());
    assert!(
        x.index_update(&mask, array!([[[1], [2]], [[3], [4]]]))
            .is_err()
    );
    // Two are selected, and there are three values: more are not used; fewer fail when it runs.
    let all = array!([true, true, true]);
    assert!(x.index_update((0, &all), array!([1, 2, 3, 4])).is_ok());
    assert!(x.index_update((0, &all), array!([1, 2]))?.eval().is_err());
    Ok(())
}

#[test]
fn gradients_pass_through_indexing() -> Result<()> {
    let x = Array::arange(0.0f32, 6.0, 1.0)?.reshape([2, 3])?;
    let picked = |x: &Array| {
        x.index((&array!([0, 0]), &array!([1, 2])))?
            .square()?
            .sum(..)
    };
    assert_eq!(
        grad(picked)(&x)?.to_vec::<f32>()?,
        [0.0, 2.0, 4.0, 0.0, 0.0, 0.0]
    );
    let replaced = |x: &Array| x.index_update((0, ..2), 5.0)?.square()?.sum(..);
    assert_eq!(
        grad(replaced)(&x)?.to_vec::<f32>()?,
        [0.0, 0.0, 4.0, 6.0, 8.0, 10.0]
    );
    Ok(())
}

#[test]
fn borders_repeat_what_their_mode_says() -> Result<()> {
    let x = array!([1, 2, 3]);
    let pad = |border| x.pad_border(&[(3, 3)], border)?.to_vec::<i32>();
    assert_eq!(pad(Border::Edge)?, [1, 1, 1, 1, 2, 3, 3, 3, 3]);
    assert_eq!(pad(Border::Reflect)?, [2, 3, 2, 1, 2, 3, 2, 1, 2]);
    assert_eq!(pad(Border::Symmetric)?, [3, 2, 1, 1, 2, 3, 3, 2, 1]);
    let y = array!([[1, 2], [3, 4]]).pad(&[(1, 0), (0, 1)], 9)?;
    assert_eq!(y.to_vec::<i32>()?, [9, 9, 9, 1, 2, 9, 3, 4, 9]);
    assert!(x.pad(&[(1, 1), (1, 1)], 0).is_err());
    assert!(x.pad(&[(usize::MAX, 1)], 0).is_err());
    Ok(())
}

#[test]
fn parts_and_repetitions_are_as_in_numpy() -> Result<()> {
    let v = counted(&[6])?;
    let parts = v.split([4, 1], 0)?;
    assert_eq!(parts.iter().map(Array::size).collect::<Vec<_>>(), [4, 0, 5]);
    assert!(matches!(v.split(4, 0), Err(Error::Argument { .. })));
    assert!(matches!(v.split(0, 0), Err(Error::Argument { .. })));
    let x = array!([[1, 2], [3, 4]]);
    assert_eq!(x.tile(&[1, 2])?.to_vec::<i32>()?, [1, 2, 1, 2, 3, 4, 3, 4]);
    assert_eq!(x.repeat(2, 1)?.to_vec::<i32>()?, [1, 1, 2, 2, 3, 3, 4, 4]);
    assert_eq!(x.roll(-1, 0)?.to_vec::<i32>()?, [3, 4, 1, 2]);
    assert_eq!(x.tril(-1)?.to_vec::<i32>()?, [0, 0, 3, 0]);
    assert_eq!(
        Array::eye(2, 3, 1, Dtype::Int8)?.to_vec::<i8>()?,
        [0, 1, 0, 0, 0, 1]
    );
    assert!(v.tril(0).is_err());
    Ok(())
}

#[test]
fn arrays_print_in_columns_and_shorten_when_long() -> Result<()> {
    assert_eq!(array!(3.5).to_string(), "array(3.5, dtype=float32)");
    assert_eq!(
        array!([true, false]).to_string(),
        "array([ True, False], dtype=bool)"
    );
    assert_eq!(
        array!([[1.0, -2.5], [10.0, f32::NAN]]).to_string(),
        "array([[   1, -2.5],\n       [  10,  nan]], dtype=float32)"
    );
    assert_eq!(
        counted(&[2, 1, 2])?.to_string(),
        "array([[[0, 1]],\n       [[2, 3]]], dtype=int32)"
    );
    assert_eq!(
        Array::zeros([0, 3], Dtype::Float32)?.to_string(),
        "array([], dtype=float32)"
    );
    assert_eq!(
        Array::zeros([2, 0], Dtype::Float32)?.to_string(),
        "array([[],\n       []], dtype=float32)"
    );
    assert_eq!(
        counted(&[1001])?.to_string(),
        "array([   0,    1,    2, ...,  998,  999, 1000], dtype=int32)"
    );
    let text = counted(&[100, 20])?.to_string();
    assert!(text.starts_with("array([[   0,    1,    2, ...,   17,   18,   19],\n       [  20,"));
    assert!(text.contains("],\n       ...,\n       [1940,"), "{text}");
    assert_eq!(text.lines().count(), 7);
    Ok(())
}

#[test]
fn a_failed_evaluation_prints_its_error() -> Result<()> {
    let x = array!([1, 2]).take(&array!([5]), 0)?;
    let text = format!("{x:?}");
    assert!(text.contains("[take] index 5 is out of range"), "{text}");
    Ok(())
}

#[test]
fn literals_nest_and_types_are_respected() -> Result<()> {
    assert_eq!(array!([[1, 2, 3]]).shape().dims(), &[1, 3]);
    assert_eq!(array!([1u8, 2]).dtype(), Dtype::Uint8);
    let wide = [1.0f64, 2.0];
    assert_eq!(array!(wide).dtype(), Dtype::Float64);
    assert_eq!(array!(vec![vec![1.0], vec![2.0]]).dtype(), Dtype::Float32);
    assert_eq!(array!([0.1]).to_vec::<f32>()?, [0.1]);
    let empty: [[f32; 3]; 0] = [];
    assert_eq!(Array::from_nested(&empty)?.size(), 0);
    assert!(Array::from_nested(&vec![vec![1], vec![]]).is_err());
    Ok(())
}
