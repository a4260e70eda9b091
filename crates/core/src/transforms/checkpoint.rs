//! Owns recomputation: a function's results between its ends are made again when gradients need them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{LeafAxes, Tree, compile::is_exporting};
use crate::{
    Array, Error, Result, depends,
    graph::{Batched, Gradients, Jvp, Primitive, Program, Specs, Tangents, Vjp, Vmap},
};

/// A function of arrays, done as one operation: nothing from inside it outlives its evaluation.
#[derive(Clone)]
struct Checkpoint {
    program: Arc<Program>,
}

impl fmt::Debug for Checkpoint {
    /// Names the program by where it is, so that only equal ones look equal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({:?})", Arc::as_ptr(&self.program))
    }
}

impl Serialize for Checkpoint {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(<S::Error as ser::Error>::custom(
            "exported functions hold no checkpoints",
        ))
    }
}

impl<'a> Deserialize<'a> for Checkpoint {
    fn deserialize<D: Deserializer<'a>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(<D::Error as de::Error>::custom(
            "exported functions hold no checkpoints",
        ))
    }
}

impl Checkpoint {
    /// Does `f` as one operation. What it captures becomes an input too: an evaluation has to know all that
    /// an operation needs, and gradients reach it.
    fn apply(
        mut inputs: Vec<Array>,
        f: impl FnOnce(&[Array]) -> Result<Vec<Array>>,
    ) -> Result<Batched> {
        let mut program = Program::record_with(&inputs, f)?;
        inputs.extend(program.close());
        let program = Arc::new(program);
        Array::apply(Checkpoint { program }, inputs)
    }
}

crate::stored!(Checkpoint);

impl Primitive for Checkpoint {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn infer(&self, _: &[Array]) -> Result<Specs> {
        let program = &self.program;
        Ok(program
            .outputs
            .iter()
            .map(|&slot| program.spec(slot).clone())
            .collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let cotangents = vjp.filled()?;
        // Nothing is computed again before its gradient is asked for.
        let inputs = depends(vjp.inputs, &cotangents)?;
        let (_, gradients) =
            crate::transforms::pull_back(|x| self.program.call(x), &inputs, &cotangents)?;
        let wanted = gradients.into_iter().zip(vjp.wanted);
        Ok(wanted
            .map(|(gradient, &wanted)| wanted.then_some(gradient))
            .collect())
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.through(|inputs| self.program.call(inputs))
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let axes: Vec<Option<i64>> = vmap
            .batched
            .iter()
            .map(|&batched| batched.then_some(0))
            .collect();
        let each = |x: &Vec<Array>| self.program.call(x);
        let whole = |x: &[Array]| crate::vmap(each, LeafAxes(axes), 0)(&x.to_vec());
        Checkpoint::apply(vmap.inputs.to_vec(), whole)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        self.program.call(inputs)
    }
}

/// The function that does what `f` does but keeps nothing from inside it for gradients, which compute
/// it again instead: less memory, for one more evaluation.
///
/// `f` may use the values of its argument, but is called only once: what it decides by them stays decided
/// when it is done again for the gradients.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, checkpoint, grad, Array};
/// let f = checkpoint(|x: &Array| x.sin()?.exp());
/// let slope = grad(|x: &Array| f(x))(&array!(0.0))?;
/// assert_eq!(slope.item::<f32>()?, 1.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn checkpoint<T: Tree, R: Tree>(f: impl Fn(&T) -> Result<R>) -> impl Fn(&T) -> Result<R> {
    move |argument| {
        if is_exporting() {
            return f(argument);
        }
        let leaves = argument.leaves();
        let mut result = None;
        let outputs = Checkpoint::apply(leaves, |x| {
            let value = f(&filled(argument, x)?)?;
            let outputs = value.leaves();
            let empty = Array::scalar(0u8);
            result = Some(value.map(&mut |_| Ok(empty.clone()))?);
            Ok(outputs)
        })?;
        let result = result.expect("tracing has called the function");
        filled(&result, &outputs)
    }
}

/// The tree with other arrays.
pub(super) fn filled<T: Tree>(tree: &T, arrays: &[Array]) -> Result<T> {
    let mut arrays = arrays.iter();
    tree.map(&mut |_| {
        arrays.next().cloned().ok_or_else(|| Error::Argument {
            op: "tree",
            reason: "it does not have the same arrays each time".to_owned(),
        })
    })
}
