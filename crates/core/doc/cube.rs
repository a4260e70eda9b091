// Owns a primitive for examples of rules in the documentation: the cube of each element.
// Examples include this file; it is no part of the library.

/// Declares `Cube` and `fn cube(x)`. A rule that is not given does what is simplest.
macro_rules! cube {
    ($(vjp: $vjp:expr;)? $(jvp: $jvp:expr;)? $(vmap: $vmap:expr;)?) => {
        #[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
        struct Cube;

        olivine_core::stored!(Cube);

        impl olivine_core::graph::Primitive for Cube {
            fn name(&self) -> &'static str {
                "cube"
            }
            fn infer(
                &self,
                inputs: &[olivine_core::Array],
            ) -> olivine_core::Result<olivine_core::graph::Specs> {
                let x = &inputs[0];
                Ok([olivine_core::graph::Spec::new(x.shape(), x.dtype())].into())
            }
            fn vjp(
                &self,
                vjp: &olivine_core::graph::Vjp,
            ) -> olivine_core::Result<olivine_core::graph::Gradients> {
                cube!(@rule vjp, [$($vjp)?] vjp.through(|x| self.decompose(x)))
            }
            fn jvp(
                &self,
                jvp: &olivine_core::graph::Jvp,
            ) -> olivine_core::Result<olivine_core::graph::Tangents> {
                cube!(@rule jvp, [$($jvp)?] jvp.transposed(self))
            }
            fn vmap(
                &self,
                vmap: &olivine_core::graph::Vmap,
            ) -> olivine_core::Result<olivine_core::graph::Batched> {
                cube!(@rule vmap, [$($vmap)?] vmap.lifted(*self))
            }
            fn decompose(
                &self,
                inputs: &[olivine_core::Array],
            ) -> olivine_core::Result<Vec<olivine_core::Array>> {
                Ok(vec![inputs[0].square()?.multiply(&inputs[0])?])
            }
        }

        fn cube(x: &olivine_core::Array) -> olivine_core::Result<olivine_core::Array> {
            olivine_core::Array::apply_one(Cube, [x.clone()])
        }
    };
    (@rule $rules:ident, [$rule:expr] $otherwise:expr) => {
        $rule($rules)
    };
    (@rule $rules:ident, [] $otherwise:expr) => {
        $otherwise
    };
}
