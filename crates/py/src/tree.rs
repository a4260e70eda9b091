//! Owns trees: how lists, tuples and dictionaries of arrays are taken apart, rebuilt and updated.

use std::collections::HashMap;

use olivine::Array;
use pyo3::{
    exceptions::PyRecursionError,
    prelude::*,
    types::{PyDict, PyList, PyTuple, PyType},
};

use crate::{
    array::PyArray,
    error::{type_error, value_error},
};

/// Deeper trees are taken for trees that hold themselves.
const DEEPEST: usize = 500;

/// What stands where a tree holds no array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// It stays as it is.
    Keep,
    /// It is an error.
    Refuse,
}

/// The structure of a tree, with everything in it that is no array.
pub(crate) enum Node {
    /// The next array.
    Array,
    /// Anything else.
    Other(Py<PyAny>),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    /// A tuple of a class of its own, such as a named tuple.
    TupleOf(Py<PyType>, Vec<Node>),
    Dict(Vec<(Py<PyAny>, Node)>),
}

fn too_deep() -> PyErr {
    PyRecursionError::new_err("a tree of arrays must not hold itself, or be so deep")
}

/// Takes a tree apart: its arrays, in order, go to `arrays`.
pub(crate) fn flatten(
    tree: &Bound<'_, PyAny>,
    arrays: &mut Vec<Array>,
    others: Others,
) -> PyResult<Node> {
    flatten_at(tree, arrays, others, 0)
}

fn flatten_at(
    tree: &Bound<'_, PyAny>,
    arrays: &mut Vec<Array>,
    others: Others,
    depth: usize,
) -> PyResult<Node> {
    if let Ok(array) = tree.cast::<PyArray>() {
        arrays.push(array.get().get());
        return Ok(Node::Array);
    }
    if depth > DEEPEST {
        return Err(too_deep());
    }
    let mut each = |item: &Bound<'_, PyAny>| flatten_at(item, arrays, others, depth + 1);
    if let Ok(list) = tree.cast::<PyList>() {
        let nodes = list.iter().map(|item| each(&item));
        return nodes.collect::<PyResult<_>>().map(Node::List);
    }
    if let Ok(tuple) = tree.cast::<PyTuple>() {
        let nodes: Vec<Node> = tuple
            .iter_borrowed()
            .map(|item| each(&item))
            .collect::<PyResult<_>>()?;
        if tuple.is_exact_instance_of::<PyTuple>() {
            return Ok(Node::Tuple(nodes));
        }
        return Ok(Node::TupleOf(tuple.get_type().unbind(), nodes));
    }
    if let Ok(dict) = tree.cast::<PyDict>() {
        let nodes = dict
            .iter()
            .map(|(key, item)| Ok((key.unbind(), each(&item)?)));
        return nodes.collect::<PyResult<_>>().map(Node::Dict);
    }
    if others == Others::Refuse {
        return Err(only_arrays());
    }
    Ok(Node::Other(tree.clone().unbind()))
}

/// The error of a tree that holds something else than arrays.
pub(crate) fn only_arrays() -> PyErr {
    value_error("[tree_flatten] The argument should contain only arrays")
}

/// The arrays of a tree, in order; everything else is passed over.
pub(crate) fn arrays_in(tree: &Bound<'_, PyAny>, arrays: &mut Vec<Array>) -> PyResult<()> {
    visit(tree, &mut |leaf| {
        if let Ok(array) = leaf.cast::<PyArray>() {
            arrays.push(array.get().get());
        }
        Ok(())
    })
}

/// Calls `f` with everything in a tree that is no list, tuple or dictionary.
pub(crate) fn visit<'py>(
    tree: &Bound<'py, PyAny>,
    f: &mut dyn FnMut(&Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    visit_at(tree, f, 0)
}

fn visit_at<'py>(
    tree: &Bound<'py, PyAny>,
    f: &mut dyn FnMut(&Bound<'py, PyAny>) -> PyResult<()>,
    depth: usize,
) -> PyResult<()> {
    if tree.is_exact_instance_of::<PyArray>() {
        return f(tree);
    }
    if depth > DEEPEST {
        return Err(too_deep());
    }
    if let Ok(list) = tree.cast::<PyList>() {
        list.iter()
            .try_for_each(|item| visit_at(&item, f, depth + 1))
    } else if let Ok(tuple) = tree.cast::<PyTuple>() {
        tuple
            .iter()
            .try_for_each(|item| visit_at(&item, f, depth + 1))
    } else if let Ok(dict) = tree.cast::<PyDict>() {
        dict.values()
            .iter()
            .try_for_each(|item| visit_at(&item, f, depth + 1))
    } else {
        f(tree)
    }
}

/// What to put in the place of a leaf, if anything.
type Replacement<'a, 'py> =
    dyn FnMut(&Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> + 'a;

/// Puts other objects in the place of leaves for which `f` has one: lists and dictionaries are changed
/// themselves, tuples are made again if anything in them changes.
pub(crate) fn replace<'py>(
    tree: &Bound<'py, PyAny>,
    f: &mut Replacement<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = tree.py();
    if let Ok(list) = tree.cast::<PyList>() {
        for (i, item) in list.iter().enumerate() {
            let new = replace(&item, f)?;
            if !new.is(&item) {
                list.set_item(i, new)?;
            }
        }
        Ok(tree.clone())
    } else if let Ok(tuple) = tree.cast::<PyTuple>() {
        let mut changed = false;
        let mut items = Vec::with_capacity(tuple.len());
        for item in tuple.iter() {
            let new = replace(&item, f)?;
            changed |= !new.is(&item);
            items.push(new);
        }
        if !changed {
            return Ok(tree.clone());
        }
        if tuple.is_exact_instance_of::<PyTuple>() {
            return Ok(PyTuple::new(py, items)?.into_any());
        }
        tuple_of(&tuple.get_type(), items)
    } else if let Ok(dict) = tree.cast::<PyDict>() {
        for (key, item) in dict
            .items()
            .iter()
            .map(|pair| pair.extract())
            .collect::<PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>>>()?
        {
            let new = replace(&item, f)?;
            if !new.is(&item) {
                dict.set_item(key, new)?;
            }
        }
        Ok(tree.clone())
    } else {
        Ok(f(tree)?.unwrap_or_else(|| tree.clone()))
    }
}

/// A tuple of a class of its own: named tuples take their items one by one, others all at once.
fn tuple_of<'py>(
    class: &Bound<'py, PyType>,
    items: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let items = PyTuple::new(class.py(), items)?;
    if class.hasattr("_fields")? {
        class.call1(items)
    } else {
        class.call1((items,))
    }
}

impl Node {
    /// The tree with these arrays, new containers included.
    pub(crate) fn fill<'py>(
        &self,
        py: Python<'py>,
        arrays: &mut dyn Iterator<Item = Array>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Node::Array => {
                let array = arrays.next().ok_or_else(|| {
                    type_error("a function returned fewer arrays than it did before")
                })?;
                Bound::new(py, PyArray::from(array))?.into_any()
            }
            Node::Other(object) => object.bind(py).clone(),
            Node::List(nodes) => PyList::new(py, fill_all(nodes, py, arrays)?)?.into_any(),
            Node::Tuple(nodes) => PyTuple::new(py, fill_all(nodes, py, arrays)?)?.into_any(),
            Node::TupleOf(class, nodes) => tuple_of(class.bind(py), fill_all(nodes, py, arrays)?)?,
            Node::Dict(nodes) => {
                let dict = PyDict::new(py);
                for (key, node) in nodes {
                    dict.set_item(key, node.fill(py, arrays)?)?;
                }
                dict.into_any()
            }
        })
    }

    /// As [`Node::fill`], but changes the lists and dictionaries of `tree` where they are of the same
    /// make, so that who else holds them sees the new arrays.
    pub(crate) fn fill_into<'py>(
        &self,
        tree: &Bound<'py, PyAny>,
        arrays: &mut dyn Iterator<Item = Array>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = tree.py();
        if let (Node::List(nodes), Ok(list)) = (self, tree.cast::<PyList>()) {
            if list.len() > nodes.len() {
                list.del_slice(nodes.len(), list.len())?;
            }
            for (i, node) in nodes.iter().enumerate() {
                match list.get_item(i) {
                    Ok(old) => {
                        let new = node.fill_into(&old, arrays)?;
                        if !new.is(&old) {
                            list.set_item(i, new)?;
                        }
                    }
                    Err(_) => list.append(node.fill(py, arrays)?)?,
                }
            }
            return Ok(tree.clone());
        }
        if let (Node::Dict(nodes), Ok(dict)) = (self, tree.cast::<PyDict>()) {
            for (key, node) in nodes {
                let old = dict.get_item(key)?;
                let new = match &old {
                    Some(old) => node.fill_into(old, arrays)?,
                    None => node.fill(py, arrays)?,
                };
                if !old.is_some_and(|old| old.is(&new)) {
                    dict.set_item(key, new)?;
                }
            }
            return Ok(tree.clone());
        }
        let (nodes, class) = match self {
            Node::Tuple(nodes) => (nodes, None),
            Node::TupleOf(class, nodes) => (nodes, Some(class)),
            // What is no array was the caller's to change.
            Node::Other(_) => return Ok(tree.clone()),
            Node::Array | Node::List(_) | Node::Dict(_) => return self.fill(py, arrays),
        };
        let old = tree.cast::<PyTuple>().ok();
        let mut items = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            items.push(match old.and_then(|old| old.get_item(i).ok()) {
                Some(old) => node.fill_into(&old, arrays)?,
                None => node.fill(py, arrays)?,
            });
        }
        if let Some(old) = old
            && old.len() == items.len()
            && old.iter().zip(&items).all(|(old, new)| old.is(new))
        {
            return Ok(tree.clone());
        }
        match class {
            Some(class) => tuple_of(class.bind(py), items),
            None => Ok(PyTuple::new(py, items)?.into_any()),
        }
    }

    /// Appends what tells this structure from others: its containers and keys, and, with
    /// [`Others::Refuse`], its constants. What is no constant is then an error, which `refused` makes.
    pub(crate) fn sign(
        &self,
        py: Python<'_>,
        words: &mut Vec<u64>,
        others: Others,
        refused: &dyn Fn(&Bound<'_, PyAny>) -> PyErr,
    ) -> PyResult<()> {
        let all = |words: &mut Vec<u64>, tag: u64, nodes: &[Node]| {
            words.extend([tag, nodes.len() as u64]);
            nodes
                .iter()
                .try_for_each(|node| node.sign(py, words, others, refused))
        };
        match self {
            Node::Array => words.push(1),
            Node::Other(_) if others == Others::Keep => words.push(0),
            Node::Other(object) => {
                if !sign_constant(object.bind(py), words)? {
                    return Err(refused(object.bind(py)));
                }
            }
            Node::List(nodes) => all(words, 2, nodes)?,
            Node::Tuple(nodes) => all(words, 3, nodes)?,
            Node::TupleOf(class, nodes) => {
                words.push(class.as_ptr() as u64);
                all(words, 4, nodes)?;
            }
            Node::Dict(nodes) => {
                words.extend([5, nodes.len() as u64]);
                for (key, node) in nodes {
                    let key = key.bind(py);
                    if !sign_constant(key, words)? {
                        words.push(key.hash()? as u64);
                    }
                    node.sign(py, words, others, refused)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `f` with all Python objects that the structure holds, for the garbage collector.
    pub(crate) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self {
            Node::Array => Ok(()),
            Node::Other(object) => visit.call(object),
            Node::List(nodes) | Node::Tuple(nodes) => {
                nodes.iter().try_for_each(|node| node.traverse(visit))
            }
            Node::TupleOf(class, nodes) => {
                visit.call(class)?;
                nodes.iter().try_for_each(|node| node.traverse(visit))
            }
            Node::Dict(nodes) => nodes.iter().try_for_each(|(key, node)| {
                visit.call(key)?;
                node.traverse(visit)
            }),
        }
    }
}

fn fill_all<'py>(
    nodes: &[Node],
    py: Python<'py>,
    arrays: &mut dyn Iterator<Item = Array>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    nodes.iter().map(|node| node.fill(py, arrays)).collect()
}

/// Appends what tells a constant from others; false if the object is none.
fn sign_constant(object: &Bound<'_, PyAny>, words: &mut Vec<u64>) -> PyResult<bool> {
    use pyo3::types::{PyBool, PyFloat, PyInt, PyString};
    if object.is_none() {
        words.push(6);
    } else if object.is_instance_of::<PyBool>() {
        words.extend([7, u64::from(object.is_truthy()?)]);
    } else if object.is_instance_of::<PyInt>() {
        match object.extract::<i64>() {
            Ok(value) => words.extend([8, value as u64]),
            Err(_) => sign_text(10, &object.str()?.to_string(), words),
        }
    } else if object.is_instance_of::<PyFloat>() {
        words.extend([9, object.extract::<f64>()?.to_bits()]);
    } else if let Ok(text) = object.cast::<PyString>() {
        // Lone surrogates are no valid text, but their repr is.
        match text.extract::<String>() {
            Ok(text) => sign_text(11, &text, words),
            Err(_) => sign_text(12, &text.repr()?.to_string(), words),
        }
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn sign_text(tag: u64, text: &str, words: &mut Vec<u64>) {
    words.extend([tag, text.len() as u64]);
    for chunk in text.as_bytes().chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        words.push(u64::from_le_bytes(bytes));
    }
}

/// The arrays of trees while others stand in their places.
///
/// A function that is differentiated gets its arguments with traced arrays in them. As it may keep or
/// change lists and dictionaries, these are the caller's own, and afterwards get their arrays back,
/// except where the function has put something else.
pub(crate) struct Standins<'py> {
    /// What each standin, by its address, stands for, and the number of the array in it.
    originals: HashMap<usize, (usize, Bound<'py, PyAny>)>,
    /// Keeps the standins alive, so that addresses stay theirs.
    held: Vec<Bound<'py, PyAny>>,
}

impl<'py> Standins<'py> {
    pub(crate) fn new() -> Self {
        Standins {
            originals: HashMap::new(),
            held: Vec::new(),
        }
    }

    /// Puts `arrays` in the places of the arrays of a tree.
    pub(crate) fn place(
        &mut self,
        tree: &Bound<'py, PyAny>,
        arrays: &mut dyn Iterator<Item = Array>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = tree.py();
        replace(tree, &mut |leaf| {
            if !leaf.is_instance_of::<PyArray>() {
                return Ok(None);
            }
            let Some(array) = arrays.next() else {
                return Ok(None);
            };
            let number = array.id();
            let standin = Bound::new(py, PyArray::from(array))?.into_any();
            // A list that a tree holds twice has standins in it when it is met again.
            let known = self.originals.get(&(leaf.as_ptr() as usize));
            let original = known.map_or_else(|| leaf.clone(), |(_, original)| original.clone());
            self.originals
                .insert(standin.as_ptr() as usize, (number, original));
            self.held.push(standin.clone());
            Ok(Some(standin))
        })
    }

    /// Gives a tree its own arrays back.
    pub(crate) fn remove(&self, tree: &Bound<'py, PyAny>) -> PyResult<()> {
        replace(tree, &mut |leaf| {
            let Some((number, original)) = self.originals.get(&(leaf.as_ptr() as usize)) else {
                return Ok(None);
            };
            // An operation in place has made the standin another array, which is to stay.
            let same = leaf
                .cast::<PyArray>()
                .is_ok_and(|array| array.get().get().id() == *number);
            Ok(same.then(|| original.clone()))
        })?;
        Ok(())
    }
}
