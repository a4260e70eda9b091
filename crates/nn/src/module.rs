//! Owns modules: named trees of parameters, how they are read, replaced and frozen.

use std::{collections::BTreeMap, fmt, marker::PhantomData, ops::Deref};

use olivine_core::{Array, Dtype, Error, IntoOperand, Result, transforms::Objective};

/// Arrays by name, in the order of their names: a model's parameters, or their gradients.
pub type Parameters = BTreeMap<String, Array>;

/// An array that a module learns. It stands in for the array in operations.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_nn::Param;
/// let scale = Param::from(Array::scalar(2.0f32));
/// let y = Array::scalar(3.0f32).multiply(&scale)?;
/// assert_eq!(y.item::<f32>()?, 6.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Param {
    value: Array,
    frozen: bool,
}

impl Param {
    /// A parameter that no optimiser changes until it is unfrozen.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::Param;
    /// let scale = Param::frozen(array!([2.0]));
    /// assert!(!scale.is_trainable());
    /// ```
    pub fn frozen(value: Array) -> Self {
        Param {
            value,
            frozen: true,
        }
    }

    /// The array.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::Param;
    /// let weight = Param::from(array!([2.0]));
    /// assert_eq!(weight.value().item::<f32>()?, 2.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn value(&self) -> &Array {
        &self.value
    }

    /// True if gradients are taken with respect to it: it is not frozen, and not of integers.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::Param;
    /// assert!(Param::from(array!([2.0])).is_trainable());
    /// assert!(!Param::from(array!([2])).is_trainable());
    /// ```
    pub fn is_trainable(&self) -> bool {
        !self.frozen && self.value.dtype().is_inexact()
    }
}

impl From<Array> for Param {
    fn from(value: Array) -> Self {
        Param {
            value,
            frozen: false,
        }
    }
}

impl Deref for Param {
    type Target = Array;
    fn deref(&self) -> &Array {
        &self.value
    }
}

impl IntoOperand for Param {
    fn to_operand(&self, beside: &Array) -> std::borrow::Cow<'_, Array> {
        self.value.to_operand(beside)
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.frozen { ", frozen" } else { "" };
        write!(
            f,
            "Param({}, {}{state})",
            self.value.shape(),
            self.value.dtype()
        )
    }
}

/// A part of a model: parameters and other modules under names. Derive it.
///
/// Names join the fields on the way with dots: `layers.0.attention.wq.weight`.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_nn::{Linear, Module};
///
/// #[derive(Module)]
/// struct Block {
///     layers: Vec<Linear>,
///     width: usize,
/// }
///
/// let mut block = Block { layers: vec![Linear::new(4, 4)?, Linear::new(4, 2)?], width: 4 };
/// let names: Vec<String> = block.parameters().into_keys().collect();
/// assert_eq!(names[0], "layers.0.bias");
/// assert_eq!(block.num_parameters(), 4 * 4 + 4 + 4 * 2 + 2);
/// block.freeze("layers.0")?;
/// assert_eq!(block.trainable_parameters().len(), 2);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Module {
    /// Shows `visitor` every parameter with its name, which starts with `prefix`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let mut shapes = Vec::new();
    /// Linear::new(3, 2)?.visit("head", &mut |name, param| {
    ///     shapes.push(format!("{name} {}", param.shape()));
    /// });
    /// assert_eq!(shapes, ["head.weight (2, 3)", "head.bias (2,)"]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn visit(&self, prefix: &str, visitor: &mut dyn FnMut(&str, &Param));

    /// Lends `visitor` every parameter, in the order of [`Module::visit`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module, Param};
    /// let mut linear = Linear::new(3, 2)?;
    /// linear.visit_mut("", &mut |_, param| {
    ///     *param = Param::from(param.zeros_like().expect("its shape is one already"));
    /// });
    /// assert_eq!(linear.weight.to_vec::<f32>()?, [0.0; 6]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn visit_mut(&mut self, prefix: &str, visitor: &mut dyn FnMut(&str, &mut Param));

    /// Switches between training and inference, which differ for [`Dropout`](crate::Dropout).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Dropout, Layer, Module, Sequential};
    /// let mut model = Sequential::new().then(Dropout::new(0.9)?);
    /// model.set_training(false);
    /// assert_eq!(model.forward(&array!([1.0, 2.0]))?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn set_training(&mut self, training: bool);

    /// All parameters.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let names: Vec<String> = Linear::new(3, 2)?.parameters().into_keys().collect();
    /// assert_eq!(names, ["bias", "weight"]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::new();
        self.visit("", &mut |name, parameter| {
            parameters.insert(name.to_owned(), parameter.value.clone());
        });
        parameters
    }

    /// The parameters that are not frozen.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let mut linear = Linear::new(3, 2)?;
    /// linear.freeze("bias")?;
    /// let names: Vec<String> = linear.trainable_parameters().into_keys().collect();
    /// assert_eq!(names, ["weight"]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn trainable_parameters(&self) -> Parameters {
        let mut parameters = Parameters::new();
        self.visit("", &mut |name, parameter| {
            if parameter.is_trainable() {
                parameters.insert(name.to_owned(), parameter.value.clone());
            }
        });
        parameters
    }

    /// The number of elements of all parameters together.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// assert_eq!(Linear::new(3, 2)?.num_parameters(), 8);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn num_parameters(&self) -> usize {
        let mut count = 0;
        self.visit("", &mut |_, parameter| count += parameter.size());
        count
    }

    /// Replaces the parameters that `values` names; the others stay.
    ///
    /// Fails, before anything is replaced, if a name is unknown or a shape differs.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Linear, Module, Parameters};
    /// let mut linear = Linear::new(1, 1)?;
    /// linear.update(&Parameters::from([("bias".to_owned(), array!([7.0]))]))?;
    /// assert_eq!(linear.parameters()["bias"].item::<f32>()?, 7.0);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn update(&mut self, values: &Parameters) -> Result<()> {
        replace(self, values, "update", false)
    }

    /// Replaces all parameters, for example by those of a file.
    ///
    /// Fails, before anything is replaced, if a parameter is missing from `values`, a name is
    /// unknown or a shape differs.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let (trained, mut fresh) = (Linear::new(3, 2)?, Linear::new(3, 2)?);
    /// fresh.load(&trained.parameters())?;
    /// assert_eq!(fresh.weight.to_vec::<f32>()?, trained.weight.to_vec::<f32>()?);
    /// // All parameters have to be there.
    /// assert!(fresh.load(&Linear::without_bias(3, 2)?.parameters()).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn load(&mut self, values: &Parameters) -> Result<()> {
        replace(self, values, "load", true)
    }

    /// Excludes the parameters under `prefix`, a name or the start of names up to a dot, from
    /// training. Fails if there are none.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Activation, Linear, Module, Sequential};
    /// let mut model = Sequential::new().then(Linear::new(4, 4)?).then(Linear::new(4, 2)?);
    /// model.freeze("layers.0")?;
    /// assert_eq!(model.trainable_parameters().len(), 2);
    /// assert!(model.freeze("head").is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn freeze(&mut self, prefix: &str) -> Result<()> {
        set_frozen(self, prefix, true)
    }

    /// Makes the parameters under `prefix` trainable again. Fails if there are none.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let mut linear = Linear::new(3, 2)?;
    /// linear.freeze_all();
    /// linear.unfreeze("bias")?;
    /// assert_eq!(linear.trainable_parameters().len(), 1);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn unfreeze(&mut self, prefix: &str) -> Result<()> {
        set_frozen(self, prefix, false)
    }

    /// Excludes all parameters from training.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let mut linear = Linear::new(3, 2)?;
    /// linear.freeze_all();
    /// assert!(linear.trainable_parameters().is_empty());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn freeze_all(&mut self) {
        self.visit_mut("", &mut |_, parameter| parameter.frozen = true);
    }

    /// Makes all parameters trainable.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, Module};
    /// let mut linear = Linear::new(3, 2)?;
    /// linear.freeze("weight")?;
    /// linear.unfreeze_all();
    /// assert_eq!(linear.trainable_parameters().len(), 2);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn unfreeze_all(&mut self) {
        self.visit_mut("", &mut |_, parameter| parameter.frozen = false);
    }

    /// Converts the floating-point parameters to `dtype`. Fails if that is not floating-point.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::Dtype;
    /// use olivine_nn::{Linear, Module};
    /// let mut linear = Linear::new(3, 2)?;
    /// linear.set_dtype(Dtype::BFloat16)?;
    /// assert_eq!(linear.weight.dtype(), Dtype::BFloat16);
    /// assert!(linear.set_dtype(Dtype::Int8).is_err());
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn set_dtype(&mut self, dtype: Dtype) -> Result<()> {
        if !dtype.is_float() {
            let reason = "parameters are floating-point";
            return Err(Error::Dtype {
                op: "set_dtype",
                dtype,
                reason,
            });
        }
        let mut result = Ok(());
        self.visit_mut("", &mut |_, parameter| {
            if parameter.dtype().is_float() {
                match parameter.astype(dtype) {
                    Ok(value) => parameter.value = value,
                    Err(error) => result = Err(error),
                }
            }
        });
        result
    }
}

fn replace<M: Module + ?Sized>(
    module: &mut M,
    values: &Parameters,
    op: &'static str,
    complete: bool,
) -> Result<()> {
    let error = |name: &str, reason: String| {
        Err(Error::Parameter {
            op,
            name: name.to_owned(),
            reason,
        })
    };
    let mut shapes = BTreeMap::new();
    module.visit("", &mut |name, parameter| {
        shapes.insert(name.to_owned(), parameter.shape().clone());
    });
    for (name, value) in values {
        match shapes.get(name) {
            None => return error(name, "is not one of the module's".to_owned()),
            Some(shape) if shape != value.shape() => {
                return error(name, format!("has shape {shape}, not {}", value.shape()));
            }
            Some(_) => {}
        }
    }
    if complete && let Some(name) = shapes.keys().find(|name| !values.contains_key(*name)) {
        return error(name, "is missing from the values".to_owned());
    }
    module.visit_mut("", &mut |name, parameter| {
        if let Some(value) = values.get(name) {
            parameter.value = value.clone();
        }
    });
    Ok(())
}

fn set_frozen<M: Module + ?Sized>(module: &mut M, prefix: &str, frozen: bool) -> Result<()> {
    let mut found = false;
    module.visit_mut("", &mut |name, parameter| {
        let rest = name.strip_prefix(prefix);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            parameter.frozen = frozen;
            found = true;
        }
    });
    if found {
        return Ok(());
    }
    let op = if frozen { "freeze" } else { "unfreeze" };
    let reason = "names no parameter or module".to_owned();
    Err(Error::Parameter {
        op,
        name: prefix.to_owned(),
        reason,
    })
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit(&self, prefix: &str, visitor: &mut dyn FnMut(&str, &Param)) {
        (**self).visit(prefix, visitor);
    }

    fn visit_mut(&mut self, prefix: &str, visitor: &mut dyn FnMut(&str, &mut Param)) {
        (**self).visit_mut(prefix, visitor);
    }

    fn set_training(&mut self, training: bool) {
        (**self).set_training(training);
    }
}

/// What the fields of a derived [`Module`] may be: parameters, modules, collections of them, and
/// plain values, which have no parameters.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_nn::{Linear, Module};
/// // Lists of modules, options and plain values can all be fields.
/// #[derive(Module)]
/// struct Model {
///     layers: Vec<Linear>,
///     head: Option<Linear>,
///     width: usize,
/// }
/// let model = Model { layers: vec![Linear::new(2, 2)?], head: None, width: 2 };
/// assert_eq!(model.parameters().len(), model.width);
/// # Ok::<(), olivine_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a module",
    note = "a parameter is a `Param`; other types derive `Module` or are marked `#[module(skip)]`"
)]
pub trait ModuleField {
    /// Shows `visitor` the parameters in the field, whose own name is `name`.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_nn::{Linear, ModuleField};
    /// let mut names = Vec::new();
    /// let layers = vec![Linear::without_bias(2, 2)?];
    /// ModuleField::visit(&layers, "layers", &mut |name, _| names.push(name.to_owned()));
    /// assert_eq!(names, ["layers.0.weight"]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn visit(&self, name: &str, visitor: &mut dyn FnMut(&str, &Param));
    /// Lends `visitor` the parameters in the field.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{ModuleField, Param};
    /// let mut field = Some(Param::from(array!([1.0])));
    /// ModuleField::visit_mut(&mut field, "scale", &mut |name, param| {
    ///     assert_eq!(name, "scale");
    ///     *param = Param::frozen(param.value().clone());
    /// });
    /// assert!(field.is_some_and(|scale| !scale.is_trainable()));
    /// ```
    fn visit_mut(&mut self, name: &str, visitor: &mut dyn FnMut(&str, &mut Param));
    /// Switches the modules in the field between training and inference.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_nn::{Dropout, Layer, ModuleField};
    /// let mut layers = vec![Dropout::new(0.9)?];
    /// ModuleField::set_training(&mut layers, false);
    /// assert_eq!(layers[0].forward(&array!([1.0]))?.to_vec::<f32>()?, [1.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn set_training(&mut self, training: bool);
}

impl<M: Module> ModuleField for M {
    fn visit(&self, name: &str, visitor: &mut dyn FnMut(&str, &Param)) {
        Module::visit(self, name, visitor);
    }

    fn visit_mut(&mut self, name: &str, visitor: &mut dyn FnMut(&str, &mut Param)) {
        Module::visit_mut(self, name, visitor);
    }

    fn set_training(&mut self, training: bool) {
        Module::set_training(self, training);
    }
}

impl ModuleField for Param {
    fn visit(&self, name: &str, visitor: &mut dyn FnMut(&str, &Param)) {
        visitor(name, self);
    }

    fn visit_mut(&mut self, name: &str, visitor: &mut dyn FnMut(&str, &mut Param)) {
        visitor(name, self);
    }

    fn set_training(&mut self, _training: bool) {}
}

impl<F: ModuleField> ModuleField for Option<F> {
    fn visit(&self, name: &str, visitor: &mut dyn FnMut(&str, &Param)) {
        if let Some(field) = self {
            field.visit(name, visitor);
        }
    }

    fn visit_mut(&mut self, name: &str, visitor: &mut dyn FnMut(&str, &mut Param)) {
        if let Some(field) = self {
            field.visit_mut(name, visitor);
        }
    }

    fn set_training(&mut self, training: bool) {
        if let Some(field) = self {
            field.set_training(training);
        }
    }
}

macro_rules! list_fields {
    ($({$($size:tt)*} $list:ty),*) => {$(
        impl<F: ModuleField, $($size)*> ModuleField for $list {
            fn visit(&self, name: &str, visitor: &mut dyn FnMut(&str, &Param)) {
                for (i, field) in self.iter().enumerate() {
                    field.visit(&join(name, &i.to_string()), visitor);
                }
            }

            fn visit_mut(&mut self, name: &str, visitor: &mut dyn FnMut(&str, &mut Param)) {
                for (i, field) in self.iter_mut().enumerate() {
                    field.visit_mut(&join(name, &i.to_string()), visitor);
                }
            }

            fn set_training(&mut self, training: bool) {
                for field in self {
                    field.set_training(training);
                }
            }
        }
    )*};
}

list_fields!({} Vec<F>, {const N: usize} [F; N]);

impl<F: ModuleField> ModuleField for BTreeMap<String, F> {
    fn visit(&self, name: &str, visitor: &mut dyn FnMut(&str, &Param)) {
        for (key, field) in self {
            field.visit(&join(name, key), visitor);
        }
    }

    fn visit_mut(&mut self, name: &str, visitor: &mut dyn FnMut(&str, &mut Param)) {
        for (key, field) in self {
            field.visit_mut(&join(name, key), visitor);
        }
    }

    fn set_training(&mut self, training: bool) {
        for field in self.values_mut() {
            field.set_training(training);
        }
    }
}

macro_rules! plain_fields {
    ($($ty:ty),* $(,)?) => {$(
        impl ModuleField for $ty {
            fn visit(&self, _name: &str, _visitor: &mut dyn FnMut(&str, &Param)) {}
            fn visit_mut(&mut self, _name: &str, _visitor: &mut dyn FnMut(&str, &mut Param)) {}
            fn set_training(&mut self, _training: bool) {}
        }
    )*};
}

plain_fields! {
    bool, char, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64, String, &'static str,
    (), Dtype, olivine_core::Shape,
}

impl<T: ?Sized> ModuleField for PhantomData<T> {
    fn visit(&self, _name: &str, _visitor: &mut dyn FnMut(&str, &Param)) {}
    fn visit_mut(&mut self, _name: &str, _visitor: &mut dyn FnMut(&str, &mut Param)) {}
    fn set_training(&mut self, _training: bool) {}
}

/// The name of `field` in the module called `prefix`.
///
/// ```
/// use olivine_nn::module::join;
/// assert_eq!(join("layers.0", "weight"), "layers.0.weight");
/// assert_eq!(join("", "weight"), "weight");
/// ```
pub fn join(prefix: &str, field: &str) -> String {
    if prefix.is_empty() {
        field.to_owned()
    } else {
        format!("{prefix}.{field}")
    }
}

/// Computes `loss` of a model and its gradient for each trainable parameter.
///
/// `loss` returns a scalar, alone or first in a pair, and must compute it from the model it is
/// given.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::Array;
/// use olivine_nn::{Layer, Linear, value_and_grad};
/// let model = Linear::without_bias(1, 1)?;
/// let x = Array::from_slice(&[3.0f32], [1, 1])?;
/// let (_, gradients) = value_and_grad(&model, |model| model.forward(&x)?.sum(..))?;
/// assert_eq!(gradients["weight"].item::<f32>()?, 3.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub fn value_and_grad<M: Module + Clone, O: Objective>(
    model: &M,
    loss: impl Fn(&M) -> Result<O>,
) -> Result<(O, Parameters)> {
    let of_parameters = |parameters: &Parameters| {
        let mut model = model.clone();
        model.update(parameters)?;
        loss(&model)
    };
    olivine_core::value_and_grad(of_parameters)(&model.trainable_parameters())
}
