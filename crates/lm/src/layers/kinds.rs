//! Owns which layers of a model see a window only.

use std::num::NonZeroUsize;

use serde::Deserialize;

use crate::Reach;

/// What a configuration says of a layer's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::enum_variant_names,
    reason = "they are the names in config.json"
)]
pub(crate) enum LayerType {
    FullAttention,
    SlidingAttention,
    ChunkedAttention,
}

/// Which layers see the latest tokens only: those listed, or all but every so manieth.
#[derive(Debug)]
pub(crate) struct Windows {
    pub(crate) size: Option<usize>,
    pub(crate) listed: Option<Vec<LayerType>>,
    /// Without a list, every layer whose number this divides sees everything; none hides all.
    pub(crate) pattern: Option<NonZeroUsize>,
}

impl Windows {
    /// Whether the layer of that number, counted from 0, sees a window only.
    pub(crate) fn hides(&self, number: usize) -> bool {
        match (&self.listed, self.pattern) {
            (Some(listed), _) => listed.get(number) == Some(&LayerType::SlidingAttention),
            (None, Some(pattern)) => !(number + 1).is_multiple_of(pattern.get()),
            (None, None) => true,
        }
    }

    /// What the queries of that layer can see.
    pub(crate) fn reach(&self, number: usize) -> Reach {
        Reach::window(self.size.filter(|_| self.hides(number)))
    }
}
