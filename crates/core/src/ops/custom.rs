//! Owns functions whose rules for transforms are given by hand, and `depends`.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use smallvec::SmallVec;

use super::{Family, Gradient, Input, OpInfo, Sample, info::kinds};
use crate::{
    Array, Error, Result,
    graph::{Batched, Gradients, Jvp, Primitive, Specs, Tangents, Vjp, Vmap},
    transforms::{LeafAxes, compile::is_exporting, conjugate},
};

/// A reverse-mode rule: from arguments, cotangents and results to the arguments' gradients.
pub type VjpRule = dyn Fn(&[Array], &[Array], &[Array]) -> Result<Vec<Array>> + Send + Sync;

/// A forward-mode rule: from arguments and their tangents to the results' tangents.
pub type JvpRule = dyn Fn(&[Array], &[Array]) -> Result<Vec<Array>> + Send + Sync;

/// A batching rule: from arguments, and the axis of each that is the batch, to results and axes.
pub type VmapRule =
    dyn Fn(&[Array], &[Option<usize>]) -> Result<(Vec<Array>, Vec<Option<usize>>)> + Send + Sync;

/// A function of several arrays.
type Function = dyn Fn(&[Array]) -> Result<Vec<Array>> + Send + Sync;

/// The rules that a function was given.
#[derive(Clone, Default)]
struct Rules {
    vjp: Option<Arc<VjpRule>>,
    jvp: Option<Arc<JvpRule>>,
    vmap: Option<Arc<VmapRule>>,
}

/// The results of a function whose rules were given by hand. The inputs are its arguments, then its
/// results as other operations compute them.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array, CustomFunction, graph::Program};
/// // A call of a function with rules of its own is recorded as this operation.
/// let f = CustomFunction::new(|x: &[Array]| Ok(vec![x[0].exp()?]));
/// let program = Program::trace(&[array!([1.0])], |x| f.call(x))?;
/// // When a function is stored, its rules stay behind: they are Rust code.
/// assert_eq!(program.steps.len(), 1);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Custom {
    rules: Rules,
    arguments: usize,
}

impl fmt::Debug for Custom {
    /// Names the rules by where they are, so that only equal ones look equal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom")
            .field("arguments", &self.arguments)
            .field("vjp", &self.rules.vjp.as_ref().map(Arc::as_ptr))
            .field("jvp", &self.rules.jvp.as_ref().map(Arc::as_ptr))
            .field("vmap", &self.rules.vmap.as_ref().map(Arc::as_ptr))
            .finish()
    }
}

impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        let reason = "the rules of a custom function are code of this process";
        Err(<S::Error as ser::Error>::custom(reason))
    }
}

impl<'a> Deserialize<'a> for Custom {
    fn deserialize<D: Deserializer<'a>>(_: D) -> std::result::Result<Self, D::Error> {
        let reason = "the rules of a custom function are code of another process";
        Err(<D::Error as de::Error>::custom(reason))
    }
}

/// Checks that what a rule gave has the shapes of what it belongs to.
fn check(what: &str, got: &[Array], like: &[Array]) -> Result<()> {
    let fits = got.len() == like.len()
        && got.iter().zip(like).all(|(got, like)| got.shape() == like.shape());
    if fits {
        return Ok(());
    }
    let list = |arrays: &[Array]| {
        let shapes: Vec<String> = arrays.iter().map(|x| x.shape().to_string()).collect();
        shapes.join(", ")
    };
    let reason = format!("{what} gave shapes {} where {} belong", list(got), list(like));
    Err(Error::Argument { op: "custom_function", reason })
}

impl Custom {
    /// The arguments' part, and the results' part, of what belongs to all inputs.
    fn apart<'a, T>(&self, all: &'a [T]) -> (&'a [T], &'a [T]) {
        all.split_at(self.arguments)
    }

    /// This function for batches: its rules are batched in turn.
    fn batched(&self, vmap: &Vmap) -> Custom {
        let axes: Vec<Option<i64>> =
            self.apart(vmap.batched).0.iter().map(|&batched| batched.then_some(0)).collect();
        let some = |count: usize| vec![Some(0); count];
        let results = vmap.inputs.len() - self.arguments;
        let count = self.arguments;
        let vjp_rule = self.rules.vjp.clone().map(|rule| {
            let axes = LeafAxes([axes.clone(), some(2 * results)].concat());
            let sums: Vec<bool> = axes.0[..count].iter().map(Option::is_none).collect();
            let batched = move |x: &[Array], cotangents: &[Array], results: &[Array]| {
                let all = [x, cotangents, results].concat();
                let each = |all: &Vec<Array>| {
                    let (x, rest) = all.split_at(count);
                    let (cotangents, results) = rest.split_at(rest.len() / 2);
                    rule(x, cotangents, results)
                };
                let gradients = crate::vmap(each, axes.clone(), 0)(&all)?;
                // An argument that all examples share gets the sum of their gradients.
                let summed = gradients.into_iter().zip(&sums);
                summed.map(|(g, &sum)| if sum { g.sum(0) } else { Ok(g) }).collect()
            };
            Arc::new(batched) as Arc<VjpRule>
        });
        let jvp_rule = self.rules.jvp.clone().map(|rule| {
            let axes = LeafAxes([axes.clone(), axes].concat());
            let batched = move |x: &[Array], tangents: &[Array]| {
                let each = |all: &Vec<Array>| {
                    let (x, tangents) = all.split_at(count);
                    rule(x, tangents)
                };
                crate::vmap(each, axes.clone(), 0)(&[x, tangents].concat())
            };
            Arc::new(batched) as Arc<JvpRule>
        });
        let rules = Rules { vjp: vjp_rule, jvp: jvp_rule, vmap: None };
        Custom { rules, arguments: self.arguments }
    }
}

crate::stored!(Custom);

impl Primitive for Custom {
    fn name(&self) -> &'static str {
        "custom_function"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        let (_, results) = self.apart(inputs);
        Ok(results.iter().map(|x| x.spec().clone()).collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let (arguments, _) = self.apart(vjp.inputs);
        let Some(rule) = &self.rules.vjp else {
            // The results are inputs, so differentiation goes on through them.
            let none = SmallVec::<[Option<Array>; 3]>::from_elem(None, self.arguments);
            return Ok(none.into_iter().chain(vjp.cotangents.iter().cloned()).collect());
        };
        // The rule is the user's, in the convention that users see.
        let cotangents: Vec<Array> =
            vjp.filled()?.iter().map(conjugate).collect::<Result<_>>()?;
        let gradients = rule(arguments, &cotangents, vjp.outputs)?;
        let gradients: Vec<Array> = gradients.iter().map(conjugate).collect::<Result<_>>()?;
        check("the vjp rule", &gradients, arguments)?;
        let rest = vjp.inputs.len() - self.arguments;
        Ok(gradients.into_iter().map(Some).chain(std::iter::repeat_n(None, rest)).collect())
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        let (arguments, _) = self.apart(jvp.inputs);
        let Some(rule) = &self.rules.jvp else {
            if self.rules.vjp.is_some() {
                return jvp.transposed(self);
            }
            return Ok(self.apart(jvp.tangents).1.iter().cloned().collect());
        };
        let tangents = rule(arguments, &jvp.filled()?[..self.arguments])?;
        check("the jvp rule", &tangents, jvp.outputs)?;
        Ok(tangents.into_iter().map(Some).collect())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let (arguments, _) = self.apart(vmap.inputs);
        let Some(rule) = &self.rules.vmap else {
            let results = (self.arguments..vmap.inputs.len()).map(|i| vmap.input(i));
            let inputs = arguments.iter().cloned().chain(results);
            return Array::apply(self.batched(vmap), inputs);
        };
        let axes: Vec<Option<usize>> =
            self.apart(vmap.batched).0.iter().map(|&batched| batched.then_some(0)).collect();
        let (results, axes) = rule(arguments, &axes)?;
        let moved = results.iter().zip(axes).map(|(result, axis)| match axis {
            Some(axis) => result.moveaxis(axis as i64, 0),
            None => result.broadcast_to(result.shape().insert_axis(0, vmap.size)),
        });
        let moved: Batched = moved.collect::<Result<_>>()?;
        let like: Vec<Array> =
            (self.arguments..vmap.inputs.len()).map(|i| vmap.input(i)).collect();
        check("the vmap rule", &moved, &like)?;
        Ok(moved)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        Ok(self.apart(inputs).1.to_vec())
    }
}

/// A function with rules of its own for transforms, in place of those of what it is made of.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, grad, Array, CustomFunction};
/// // A step, whose gradient is let through as if it were the identity.
/// let step = CustomFunction::new(|x: &[Array]| Ok(vec![x[0].greater(0.0)?.astype(x[0].dtype())?]))
///     .with_vjp(|_, cotangents, _| Ok(cotangents.to_vec()));
/// let slope = grad(|x: &Array| step.call(&[x])?[0].multiply(3.0))(&array!(0.5))?;
/// assert_eq!(slope.item::<f32>()?, 3.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct CustomFunction {
    f: Arc<Function>,
    rules: Rules,
}

impl CustomFunction {
    /// `f`, with the rules of the operations that it uses.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, CustomFunction};
    /// let square = CustomFunction::new(|x: &[Array]| Ok(vec![x[0].square()?]));
    /// assert_eq!(square.call(&[array!([3.0])])?[0].item::<f32>()?, 9.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn new(f: impl Fn(&[Array]) -> Result<Vec<Array>> + Send + Sync + 'static) -> Self {
        CustomFunction { f: Arc::new(f), rules: Rules::default() }
    }

    /// The gradients of the arguments, from arguments, cotangents and results.
    ///
    /// Forward mode takes them too, transposed, unless it has a rule of its own.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, CustomFunction, grad};
    /// // Gradients are cut to at most one on the way back.
    /// let clipped = CustomFunction::new(|x: &[Array]| Ok(vec![x[0].clone()]))
    ///     .with_vjp(|_, cotangents, _| Ok(vec![cotangents[0].clip(-1.0, 1.0)?]));
    /// let slope = grad(|x: &Array| clipped.call(&[x])?[0].multiply(100.0))(&array!(2.0))?;
    /// assert_eq!(slope.item::<f32>()?, 1.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn with_vjp(
        mut self,
        rule: impl Fn(&[Array], &[Array], &[Array]) -> Result<Vec<Array>> + Send + Sync + 'static,
    ) -> Self {
        self.rules.vjp = Some(Arc::new(rule));
        self
    }

    /// The tangents of the results, from arguments and their tangents.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, CustomFunction, jvp};
    /// let square = CustomFunction::new(|x: &[Array]| Ok(vec![x[0].square()?]))
    ///     .with_jvp(|x, tangents| Ok(vec![x[0].multiply(2)?.multiply(&tangents[0])?]));
    /// let (_, tangents) = jvp(|x| square.call(x), &[array!(3.0)], &[array!(1.0)])?;
    /// assert_eq!(tangents[0].item::<f32>()?, 6.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn with_jvp(
        mut self,
        rule: impl Fn(&[Array], &[Array]) -> Result<Vec<Array>> + Send + Sync + 'static,
    ) -> Self {
        self.rules.jvp = Some(Arc::new(rule));
        self
    }

    /// The results for a batch, and the axis of each that is the batch, from arguments and theirs.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, CustomFunction, vmap};
    /// let square = CustomFunction::new(|x: &[Array]| Ok(vec![x[0].square()?]))
    ///     .with_vmap(|x, axes| Ok((vec![x[0].square()?], axes.to_vec())));
    /// let batch = vmap(|x: &Array| Ok(square.call(&[x])?.remove(0)), 0, 0);
    /// assert_eq!(batch(&array!([1.0, 2.0]))?.to_vec::<f32>()?, [1.0, 4.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn with_vmap(
        mut self,
        rule: impl Fn(&[Array], &[Option<usize>]) -> Result<(Vec<Array>, Vec<Option<usize>>)>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.rules.vmap = Some(Arc::new(rule));
        self
    }

    /// The results for arguments.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, CustomFunction};
    /// let parts = CustomFunction::new(|x: &[Array]| {
    ///     let whole = x[0].floor()?;
    ///     Ok(vec![whole.clone(), x[0].subtract(whole)?])
    /// });
    /// let results = parts.call(&[&array!([2.5])])?;
    /// assert_eq!((results[0].item::<f32>()?, results[1].item::<f32>()?), (2.0, 0.5));
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn call<A: Borrow<Array>>(&self, arguments: &[A]) -> Result<Vec<Array>> {
        let arguments: Vec<Array> = arguments.iter().map(|x| x.borrow().clone()).collect();
        let results = (self.f)(&arguments)?;
        if is_exporting() {
            return Ok(results);
        }
        let custom = Custom { rules: self.rules.clone(), arguments: arguments.len() };
        let inputs = arguments.iter().chain(&results).cloned();
        Ok(Array::apply(custom, inputs)?.into_vec())
    }
}

/// The first inputs, as they are, once the others have been computed as well.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, Array};
/// use olivine_core::ops::custom::Depends;
/// let (x, other) = (array!([1.0]), array!([2.0]).exp()?);
/// let y = Array::apply_one(Depends { arrays: 1 }, [x, other.clone()])?;
/// y.eval()?;
/// assert!(other.is_evaluated());
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Depends {
    /// How many inputs are passed on.
    pub arrays: usize,
}

crate::stored!(Depends);

impl Primitive for Depends {
    fn name(&self) -> &'static str {
        "depends"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        let Some(arrays) = inputs.get(..self.arrays) else {
            let reason = format!("{} arrays of {} inputs", self.arrays, inputs.len());
            return Err(Error::Argument { op: self.name(), reason });
        };
        Ok(arrays.iter().map(|x| x.spec().clone()).collect())
    }

    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        let rest = vjp.inputs.len() - self.arrays;
        let none = std::iter::repeat_n(None, rest);
        Ok(vjp.cotangents.iter().cloned().chain(none).collect())
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        Ok(jvp.tangents[..self.arrays].iter().cloned().collect())
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        let arrays = (0..self.arrays).map(|i| vmap.input(i));
        Array::apply(*self, arrays.chain(vmap.inputs[self.arrays..].iter().cloned()))
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        Ok(inputs[..self.arrays].to_vec())
    }
}

/// The same arrays, computed only after `dependencies` have been.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{array, depends};
/// let (x, first) = (array!(1), array!(2).square()?);
/// let x = depends(&[x], &[first.clone()])?.remove(0);
/// x.eval()?;
/// assert!(first.is_evaluated());
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn depends(arrays: &[Array], dependencies: &[Array]) -> Result<Vec<Array>> {
    let inputs = arrays.iter().chain(dependencies).cloned();
    Ok(Array::apply(Depends { arrays: arrays.len() }, inputs)?.into_vec())
}

pub(super) fn ops() -> Vec<OpInfo> {
    vec![OpInfo {
        name: "depends",
        doc: "The same arrays, computed after others.",
        signature: "depends(inputs, dependencies)",
        family: Family::Elementwise,
        kinds: kinds::ALL,
        gradient: Gradient::Smooth,
        samples: || {
            let inputs = [Input::any([3, 4]), Input::any([2])];
            vec![Sample::many("", inputs, |x| depends(&x[..1], &x[1..]))]
        },
    }]
}
