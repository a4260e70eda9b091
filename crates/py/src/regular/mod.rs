//! Owns the forms of functions with regular arguments; `list.rs` says which ops have which form.

mod list;

pub(crate) use list::register;

/// Functions, and where it says so methods, of one form.
///
/// A form has the signature and typed arguments of its functions, those of its methods, what is said of
/// them, and the call, which gets the name of the Rust method.
macro_rules! form {
    (
        $form:ident, $dollar:tt;
        function $text:literal ($($signature:tt)*) ($($typed:tt)*) [$($about:literal)*];
        method $method_text:literal ($($method_signature:tt)*) ($($method_typed:tt)*) [$($method_about:literal)*];
        result [$($result:literal)*];
        call $call:ident($($given:ident),*) |$($closure:ident),*| $receiver:ident ($($passed:ident),*)
    ) => {
        macro_rules! $form {
            ($dollar($dollar name:ident $dollar($dollar kind:ident)?: $dollar doc:literal, $dollar example:literal, $dollar shown:literal;)*) => {
                $dollar(
                    #[doc = $dollar doc]
                    #[doc = ""]
                    #[doc = "Args:"]
                    $(#[doc = $about])*
                    #[doc = "    stream: Where to compute it."]
                    #[doc = ""]
                    #[doc = "Returns:"]
                    $(#[doc = $result])*
                    #[doc = ""]
                    #[doc = "Example:"]
                    #[doc = "    >>> import olivine.core as mx"]
                    #[doc = concat!("    >>> ", $dollar example)]
                    #[doc = concat!("    ", $dollar shown)]
                    #[pyfunction]
                    #[pyo3(signature = ($($signature)*), text_signature = $text)]
                    fn $dollar name($($typed)*) -> PyResult<PyArray> {
                        $call($($given,)* |$($closure),*| $receiver.$dollar name($($passed),*))
                    }
                    $dollar(
                        crate::regular::forms::$form! { @$dollar kind $dollar name $dollar doc }
                    )?
                )*
                pub(super) fn $form(module: &Bound<'_, PyModule>) -> PyResult<()> {
                    $dollar(module.add_function(wrap_pyfunction!($dollar name, module)?)?;)*
                    Ok(())
                }
            };
            (@method $dollar name:ident $dollar doc:literal) => {
                #[pymethods]
                impl PyArray {
                    #[doc = $dollar doc]
                    #[doc = ""]
                    #[doc = "Args:"]
                    $(#[doc = $method_about])*
                    #[doc = "    stream: Where to compute it."]
                    #[doc = ""]
                    #[doc = "Returns:"]
                    $(#[doc = $result])*
                    #[pyo3(signature = ($($method_signature)*), text_signature = $method_text)]
                    fn $dollar name(&self, $($method_typed)*) -> PyResult<PyArray> {
                        let $receiver = Operand::Array(self.get());
                        $call($($given,)* |$($closure),*| $receiver.$dollar name($($passed),*))
                    }
                }
            };
        }
        pub(super) use $form;
    };
}

mod forms {
    form! {
        unary_ops, $;
        function "(a, /, *, stream=None)" (a, /, *, stream=None) (a: Operand, stream: Option<On>)
            ["    a: An array of any shape, or a number."];
        method "($self, *, stream=None)" (*, stream=None) (stream: Option<On>) [];
        result ["    An array of the same shape."];
        call unary(a, stream) |a| a()
    }
    form! {
        binary_ops, $;
        function "(a, b, stream=None)" (a, b, stream=None) (a: Operand, b: Operand, stream: Option<On>)
            ["    a: An array or a number."
             "    b: An array or a number; the shapes are broadcast together."];
        method "($self, b, *, stream=None)" (b, *, stream=None) (b: Operand, stream: Option<On>)
            ["    b: An array or a number; the shapes are broadcast together."];
        result ["    An array of the broadcast shape."];
        call binary(a, b, stream) |a, b| a(b)
    }
    form! {
        reductions, $;
        function "(a, /, axis=None, keepdims=False, *, stream=None)" (a, /, axis=None, keepdims=false, *, stream=None)
            (a: Operand, axis: Option<Ints>, keepdims: bool, stream: Option<On>)
            ["    a: An array of any shape."
             "    axis: The axis or axes to go over. By default, all."
             "    keepdims: Keeps these axes, with size one."];
        method "($self, axis=None, keepdims=False, *, stream=None)" (axis=None, keepdims=false, *, stream=None)
            (axis: Option<Ints>, keepdims: bool, stream: Option<On>)
            ["    axis: The axis or axes to go over. By default, all."
             "    keepdims: Keeps these axes, with size one."];
        result ["    An array without the axes gone over."];
        call reduction(a, axis, keepdims, stream) |a, axes| a(axes)
    }
    form! {
        cumulative_ops, $;
        function "(a, /, axis=None, *, reverse=False, inclusive=True, stream=None)" (a, /, axis=None, *, reverse=false, inclusive=true, stream=None)
            (a: Operand, axis: Option<i64>, reverse: bool, inclusive: bool, stream: Option<On>)
            ["    a: An array of any shape."
             "    axis: The axis to walk along. By default, the flattened array's."
             "    reverse: Walks from the last element to the first."
             "    inclusive: Elements count themselves."];
        method "($self, axis=None, *, reverse=False, inclusive=True, stream=None)" (axis=None, *, reverse=false, inclusive=true, stream=None)
            (axis: Option<i64>, reverse: bool, inclusive: bool, stream: Option<On>)
            ["    axis: The axis to walk along. By default, the flattened array's."
             "    reverse: Walks from the last element to the first."
             "    inclusive: Elements count themselves."];
        result ["    An array of the same shape."];
        call cumulative(a, axis, reverse, inclusive, stream) |a, walk| a(walk)
    }
    form! {
        running_totals, $;
        function "(a, /, axis=None, *, reverse=False, inclusive=True, dtype=None, stream=None)"
            (a, /, axis=None, *, reverse=false, inclusive=true, dtype=None, stream=None)
            (a: Operand, axis: Option<i64>, reverse: bool, inclusive: bool, dtype: Option<PyDtype>, stream: Option<On>)
            ["    a: An array of any shape."
             "    axis: The axis to walk along. By default, the flattened array's."
             "    reverse: Walks from the last element to the first."
             "    inclusive: Elements count themselves."
             "    dtype: The dtype to compute in, and of the result. By default, the array's."];
        method "($self, axis=None, *, reverse=False, inclusive=True, dtype=None, stream=None)"
            (axis=None, *, reverse=false, inclusive=true, dtype=None, stream=None)
            (axis: Option<i64>, reverse: bool, inclusive: bool, dtype: Option<PyDtype>, stream: Option<On>)
            ["    axis: The axis to walk along. By default, the flattened array's."
             "    reverse: Walks from the last element to the first."
             "    inclusive: Elements count themselves."
             "    dtype: The dtype to compute in, and of the result. By default, the array's."];
        result ["    An array of the same shape."];
        call running_total(a, axis, reverse, inclusive, dtype, stream) |a, walk| a(walk)
    }
    form! {
        sorting_ops, $;
        function "(a, /, axis=-1, *, stream=None)" (a, /, axis=-1, *, stream=None)
            (a: Operand, axis: Option<i64>, stream: Option<On>)
            ["    a: An array of any shape."
             "    axis: The axis to sort along; ``None`` flattens the array first."];
        method "($self, axis=-1, *, stream=None)" (axis=-1, *, stream=None) (axis: Option<i64>, stream: Option<On>)
            ["    axis: The axis to sort along; ``None`` flattens the array first."];
        result ["    An array of the same shape."];
        call along(a, axis, stream) |a, axis| a(axis)
    }
}
