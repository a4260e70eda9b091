//! Compiled functions: what they record, and that they give what the functions give.

use std::cell::Cell;

use olivine_core::{
    Array, CompileOptions, Dtype, Error, Result, array, compile, compile_with, compile_with_state,
    eval, grad, graph::Program, random, vmap,
};
use olivine_cpu as _;

fn traced(f: impl FnOnce(&[Array]) -> Result<Vec<Array>>) -> Result<Program> {
    let x = Array::zeros([2, 3], Dtype::Float32)?;
    let mut program = Program::trace(&[x], f)?;
    program.simplify();
    Ok(program)
}

fn names(program: &Program) -> Vec<&'static str> {
    program.steps.iter().map(|step| step.op.name()).collect()
}

#[test]
fn a_chain_of_scalar_math_and_a_sum_become_one_step() -> Result<()> {
    let program = traced(|x| Ok(vec![x[0].add(1.0)?.exp()?.square()?.sum(-1)?]))?;
    assert_eq!(names(&program), ["fused", "reshape"]);
    Ok(())
}

#[test]
fn a_run_with_an_operation_between_does_not_become_a_circle() -> Result<()> {
    let program = traced(|x| {
        let y = x[0].exp()?.add(1.0)?;
        let z = y.cumsum(0)?.multiply(2.0)?;
        Ok(vec![y.add(z)?])
    })?;
    assert_eq!(names(&program), ["fused", "cumsum", "fused"]);
    Ok(())
}

#[test]
fn equal_steps_are_done_once_and_unused_ones_not_at_all() -> Result<()> {
    let program = traced(|x| {
        let unused = x[0].cumsum(0)?;
        drop(unused);
        Ok(vec![x[0].cumsum(1)?, x[0].cumsum(1)?])
    })?;
    assert_eq!(names(&program), ["cumsum"]);
    assert_eq!(program.outputs[0], program.outputs[1]);
    Ok(())
}

#[test]
fn what_does_not_depend_on_the_arguments_is_computed_once() -> Result<()> {
    let program = traced(|x| {
        let table = Array::arange(0i32, 3, 1)?
            .astype(Dtype::Float32)?
            .cumsum(0)?;
        Ok(vec![x[0].cumsum(0)?.matmul(table)?])
    })?;
    assert!(
        !names(&program)[1..].contains(&"cumsum"),
        "{:?}",
        names(&program)
    );
    assert!(program.constants.iter().all(Array::is_evaluated));
    Ok(())
}

#[test]
fn a_function_is_traced_once_for_each_signature() -> Result<()> {
    let traces = Cell::new(0);
    let f = compile(|x: &Array| {
        traces.set(traces.get() + 1);
        x.add(1)
    });
    for _ in 0..3 {
        assert_eq!(f(&array!([1, 2]))?.to_vec::<i32>()?, [2, 3]);
    }
    assert_eq!(traces.get(), 1);
    assert_eq!(f(&array!([1.0, 2.0]))?.to_vec::<f32>()?, [2.0, 3.0]);
    assert_eq!(f(&array!([1]))?.to_vec::<i32>()?, [2]);
    assert_eq!(traces.get(), 3);
    Ok(())
}

#[test]
fn a_tree_of_another_structure_is_traced_again() -> Result<()> {
    let f = compile(|(xs, y): &(Vec<Array>, Option<Array>)| match y {
        Some(y) => xs[0].multiply(y),
        None => xs[0].add(&xs[1]),
    });
    let (a, b) = (array!(3), array!(5));
    assert_eq!(f(&(vec![a.clone()], Some(b.clone())))?.item::<i32>()?, 15);
    assert_eq!(f(&(vec![a, b], None))?.item::<i32>()?, 8);
    Ok(())
}

#[test]
fn asking_for_a_value_while_tracing_is_an_error() {
    let f = compile(|x: &Array| x.add(x.item::<f32>()?));
    let error = f(&array!(1.0)).expect_err("there is no value yet");
    assert_eq!(
        error,
        Error::Traced {
            transform: "compile"
        }
    );
}

#[test]
fn draws_without_a_key_go_on_from_call_to_call() -> Result<()> {
    let draw = |x: &Array| random::uniform([3])?.add(x);
    let compiled = compile(draw);
    let zero = array!(0.0);
    random::seed(5);
    let wanted = [draw(&zero)?, draw(&zero)?].map(|x| x.to_vec::<f32>());
    random::seed(5);
    let got = [compiled(&zero)?, compiled(&zero)?].map(|x| x.to_vec::<f32>());
    assert_eq!(got, wanted);
    assert_ne!(got[0], got[1]);
    Ok(())
}

#[test]
fn compiled_functions_nest() -> Result<()> {
    let inner = compile(|x: &Array| x.exp()?.add(1.0));
    let outer = compile(|x: &Array| inner(&inner(x)?)?.log());
    let x = array!([0.5, -1.0]);
    let wanted = x.exp()?.add(1.0)?.exp()?.add(1.0)?.log()?;
    assert_eq!(outer(&x)?.to_vec::<f32>()?, wanted.to_vec::<f32>()?);
    Ok(())
}

#[test]
fn gradients_and_batches_go_through_compiled_functions_and_into_them() -> Result<()> {
    let f = |x: &Array| x.multiply(2.0)?.tanh()?.sum(..);
    let x = array!([0.1, 0.2, 0.3]);
    let wanted = grad(f)(&x)?.to_vec::<f32>()?;
    assert_eq!(grad(compile(f))(&x)?.to_vec::<f32>()?, wanted);
    assert_eq!(compile(grad(f))(&x)?.to_vec::<f32>()?, wanted);
    let rows = array!([[0.1, 0.2], [0.3, 0.4]]);
    let wanted = vmap(grad(f), 0, 0)(&rows)?.to_vec::<f32>()?;
    assert_eq!(
        vmap(grad(compile(f)), 0, 0)(&rows)?.to_vec::<f32>()?,
        wanted
    );
    assert_eq!(
        compile(vmap(grad(f), 0, 0))(&rows)?.to_vec::<f32>()?,
        wanted
    );
    Ok(())
}

#[test]
fn an_argument_of_an_outer_transform_is_not_kept() -> Result<()> {
    let slope = |w: f32| {
        grad(|w: &Array| {
            let f = compile(|x: &Array| x.multiply(w)?.sum(..));
            f(&array!([1.0, 2.0]))?.add(f(&array!([1.0, 2.0]))?)
        })(&array!(w))
    };
    assert_eq!(slope(1.0)?.item::<f32>()?, 6.0);
    Ok(())
}

#[test]
fn a_training_step_with_its_state_is_one_function() -> Result<()> {
    let step = compile_with_state(
        CompileOptions::default(),
        |(w, count): &mut (Array, Array), x: &Array| {
            let slope = grad(|w: &Array| w.multiply(x)?.square()?.sum(..))(w)?;
            *w = w.subtract(slope.multiply(0.01)?)?;
            *count = count.add(1)?;
            Ok(w.clone())
        },
    );
    let mut state = (array!(1.0), array!(0));
    let mut plain = 1.0f32;
    for x in [1.0f32, 2.0, 3.0] {
        step(&mut state, &array!(x))?;
        plain -= 2.0 * plain * x * x * 0.01;
    }
    eval([&state.0, &state.1])?;
    assert!((state.0.item::<f32>()? - plain).abs() < 1e-6);
    assert_eq!(state.1.item::<i32>()?, 3);
    Ok(())
}

#[test]
fn a_shapeless_trace_follows_sizes_through_views() -> Result<()> {
    let f = |x: &Array| {
        let (b, t) = (x.dim(0)?, x.dim(1)?);
        let heads = x.reshape([b, t, 2, 3])?.transpose([0, 2, 1, 3])?;
        let scores = heads.matmul(heads.swapaxes(-1, -2)?)?.softmax(-1)?;
        let mixed = scores
            .matmul(&heads)?
            .transpose([0, 2, 1, 3])?
            .flatten(2, 3)?;
        let centred = mixed.subtract(mixed.mean(olivine_core::keep(-1))?)?;
        centred
            .index((.., 1.., ..))?
            .add(array!([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    };
    let shapeless = compile_with(CompileOptions { shapeless: true }, f);
    for [b, t] in [[2, 4], [3, 7], [1, 2], [5, 1]] {
        let x = random::normal([b, t, 6])?;
        let (got, wanted) = (shapeless(&x)?, f(&x)?);
        assert_eq!(got.shape(), wanted.shape());
        assert_eq!(got.to_vec::<f32>()?, wanted.to_vec::<f32>()?);
    }
    Ok(())
}
