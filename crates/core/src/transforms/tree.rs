//! Owns trees of arrays: the arguments and results that transforms take apart and rebuild.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{Array, Result};

/// A value that holds arrays: an array, or a collection, tuple or struct of trees.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{Array, Tree};
/// let pair = (Array::scalar(1.0f32), vec![Array::scalar(2.0f32)]);
/// let doubled = pair.map(&mut |x| x.add(x))?;
/// assert_eq!(doubled.1[0].item::<f32>()?, 4.0);
/// # Ok::<(), olivine_core::Error>(())
/// ```
pub trait Tree: Sized {
    /// The same tree with each array replaced, always in the same order.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Tree, array};
    /// let tree = (array!([1]), array!([2]));
    /// let doubled = Tree::map(&tree, &mut |x| x.multiply(2))?;
    /// assert_eq!(doubled.1.item::<i32>()?, 4);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self>;

    /// Appends what tells this tree from others of its type but for the arrays: lengths and keys.
    ///
    /// A compiled function is traced again for arguments of another structure.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Array, Tree};
    /// let structure = |tree: &Vec<Array>| {
    ///     let mut words = Vec::new();
    ///     tree.structure(&mut words);
    ///     words
    /// };
    /// let x = array!([1]);
    /// assert_ne!(structure(&vec![x.clone()]), structure(&vec![x.clone(), x]));
    /// ```
    fn structure(&self, words: &mut Vec<u64>) {
        words.push(self.leaves().len() as u64);
    }

    /// The arrays, in the order of [`Tree::map`].
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{array, Tree};
    /// let tree = (array!([1]), vec![array!([2]), array!([3])]);
    /// assert_eq!(tree.leaves().len(), 3);
    /// ```
    fn leaves(&self) -> Vec<Array> {
        let mut leaves = Vec::new();
        // The closure never fails, so there is no error to pass on.
        let _ = self.map(&mut |leaf| {
            leaves.push(leaf.clone());
            Ok(leaf.clone())
        });
        leaves
    }
}

impl Tree for Array {
    fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
        f(self)
    }

    fn structure(&self, _: &mut Vec<u64>) {}
}

impl<T: Tree> Tree for Vec<T> {
    fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
        self.iter().map(|tree| tree.map(f)).collect()
    }

    fn structure(&self, words: &mut Vec<u64>) {
        words.push(self.len() as u64);
        for tree in self {
            tree.structure(words);
        }
    }
}

impl<T: Tree> Tree for Option<T> {
    fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
        self.as_ref().map(|tree| tree.map(f)).transpose()
    }

    fn structure(&self, words: &mut Vec<u64>) {
        words.push(u64::from(self.is_some()));
        if let Some(tree) = self {
            tree.structure(words);
        }
    }
}

impl<T: Tree, const N: usize> Tree for [T; N] {
    fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
        let mapped: Vec<T> = self.iter().map(|tree| tree.map(f)).collect::<Result<_>>()?;
        Ok(mapped
            .try_into()
            .unwrap_or_else(|_| unreachable!("the length is N")))
    }

    fn structure(&self, words: &mut Vec<u64>) {
        for tree in self {
            tree.structure(words);
        }
    }
}

impl<K: Clone + Ord + Hash, T: Tree> Tree for BTreeMap<K, T> {
    fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
        self.iter()
            .map(|(key, tree)| Ok((key.clone(), tree.map(f)?)))
            .collect()
    }

    fn structure(&self, words: &mut Vec<u64>) {
        entries(self.iter().collect(), words);
    }
}

/// The structure of a map's entries, which are in order.
fn entries<K: Hash, T: Tree>(entries: Vec<(&K, &T)>, words: &mut Vec<u64>) {
    words.push(entries.len() as u64);
    for (key, tree) in entries {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        words.push(hasher.finish());
        tree.structure(words);
    }
}

impl<K: Clone + Ord + Hash, T: Tree, S: std::hash::BuildHasher + Default> Tree
    for HashMap<K, T, S>
{
    /// Visits in key order, so that the order is the same every time.
    fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_by(|a, b| a.0.cmp(b.0));
        entries
            .into_iter()
            .map(|(key, tree)| Ok((key.clone(), tree.map(f)?)))
            .collect()
    }

    fn structure(&self, words: &mut Vec<u64>) {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        entries(sorted, words);
    }
}

macro_rules! tuples {
    ($($($name:ident $index:tt),+;)*) => {$(
        impl<$($name: Tree),+> Tree for ($($name,)+) {
            fn map(&self, f: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
                Ok(($(self.$index.map(f)?,)+))
            }

            fn structure(&self, words: &mut Vec<u64>) {
                $(self.$index.structure(words);)+
            }
        }
    )*};
}

impl Tree for () {
    fn map(&self, _: &mut dyn FnMut(&Array) -> Result<Array>) -> Result<Self> {
        Ok(())
    }
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
}
