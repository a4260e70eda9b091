//! Owns arrays whose elements are read from somewhere when they are evaluated.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::OpInfo;
use crate::{
    Array, Dtype, Error, Result, Shape, Stream,
    device::backend,
    graph::{Batched, Gradients, Jvp, Primitive, Spec, Specs, Tangents, Vjp, Vmap},
};

/// Where the elements of a [deferred](Array::deferred) array come from, such as a file.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Dtype, Elements, Result};
/// struct Sevens;
/// impl Elements for Sevens {
///     fn read(&self, target: &mut [u8]) -> Result<()> {
///         Ok(target.fill(7))
///     }
/// }
/// assert_eq!(Array::deferred([2], Dtype::Uint8, Sevens)?.to_vec::<u8>()?, [7, 7]);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Elements: Send + Sync + 'static {
    /// Whether they are all there; asked before memory is taken for them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, Elements, Error, Result};
    /// struct Lost;
    /// impl Elements for Lost {
    ///     fn check(&self) -> Result<()> {
    ///         Err(Error::Read { reason: "nothing is left".into() })
    ///     }
    ///     fn read(&self, _: &mut [u8]) -> Result<()> {
    ///         unreachable!("the check has failed")
    ///     }
    /// }
    /// let lost = Array::deferred([1 << 40], Dtype::Float32, Lost)?;
    /// assert!(matches!(lost.eval(), Err(Error::Read { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Writes the bytes of all elements, in row-major order and this machine's order of bytes.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, Elements, Result};
    /// struct Counted;
    /// impl Elements for Counted {
    ///     fn read(&self, target: &mut [u8]) -> Result<()> {
    ///         for (i, element) in target.chunks_exact_mut(4).enumerate() {
    ///             element.copy_from_slice(&(i as u32).to_ne_bytes());
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// let x = Array::deferred([3], Dtype::Uint32, Counted)?;
    /// assert_eq!(x.to_vec::<u32>()?, [0, 1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn read(&self, target: &mut [u8]) -> Result<()>;
}

#[derive(Clone, Serialize, Deserialize)]
struct Deferred {
    spec: Spec,
    /// `None` in what was read from a file, which no program has.
    #[serde(skip)]
    elements: Option<Arc<dyn Elements>>,
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address tells what is read from elsewhere.
        let place = self.elements.as_ref().map(|elements| Arc::as_ptr(elements).cast::<()>());
        f.debug_tuple("Deferred").field(&self.spec).field(&place).finish()
    }
}

crate::stored!(Deferred);

impl Primitive for Deferred {
    fn name(&self) -> &'static str {
        "load"
    }

    fn infer(&self, inputs: &[Array]) -> Result<Specs> {
        crate::graph::exactly(self.name(), 0, inputs)?;
        if self.elements.is_none() {
            let reason = "what it reads is not stored with a function".to_owned();
            return Err(Error::Argument { op: self.name(), reason });
        }
        Ok([self.spec.clone()].into())
    }

    // It has no inputs, so none of these is ever asked.
    fn vjp(&self, vjp: &Vjp) -> Result<Gradients> {
        vjp.each(|_| Ok(None))
    }

    fn jvp(&self, jvp: &Jvp) -> Result<Tangents> {
        jvp.zero()
    }

    fn vmap(&self, vmap: &Vmap) -> Result<Batched> {
        vmap.each(self)
    }

    fn decompose(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        self.infer(inputs)?;
        let elements = self.elements.as_ref().expect("infer() has looked");
        let Spec { shape, dtype } = &self.spec;
        elements.check()?;
        let bytes = shape.checked_bytes(dtype.size(), self.name())?;
        let buffer = backend(Stream::current().device())?.allocate(bytes)?;
        // SAFETY: the memory is fresh, initialised and holds at least so many bytes.
        let target = unsafe { std::slice::from_raw_parts_mut(buffer.host().as_ptr(), bytes) };
        elements.read(target)?;
        if *dtype == Dtype::Bool
            && let Some(at) = target.iter().position(|&byte| byte > 1)
        {
            let reason = format!("element {at} is {}, which is no truth value", target[at]);
            return Err(Error::Argument { op: self.name(), reason });
        }
        // SAFETY: the buffer holds the elements, and every pattern of bits is one; truth values were
        // checked.
        Ok(vec![unsafe { Array::from_buffer(buffer, 0, shape.clone(), *dtype)? }])
    }
}

impl Array {
    /// An array whose elements are read when it is evaluated.
    ///
    /// If that fails, the array and what depends on it have the error in place of values.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Array, Dtype, Elements, Error, Result};
    /// struct Unplugged;
    /// impl Elements for Unplugged {
    ///     fn read(&self, _: &mut [u8]) -> Result<()> {
    ///         Err(Error::Read { reason: "the disk is gone".to_owned() })
    ///     }
    /// }
    /// let x = Array::deferred([2], Dtype::Float32, Unplugged)?.add(1.0)?;
    /// assert_eq!(x.eval().unwrap_err().to_string(), "the disk is gone");
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn deferred(
        shape: impl Into<Shape>,
        dtype: Dtype,
        elements: impl Elements,
    ) -> Result<Array> {
        let spec = Spec { shape: shape.into(), dtype };
        spec.shape.checked_bytes(dtype.size(), "load")?;
        Array::apply_one(Deferred { spec, elements: Some(Arc::new(elements)) }, [])
    }
}

/// It is no operation on arrays.
pub(super) fn ops() -> Vec<OpInfo> {
    Vec::new()
}
