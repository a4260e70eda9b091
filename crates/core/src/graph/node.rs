//! Owns the graph's nodes: what is still to compute, what is known, and how chains are freed.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use smallvec::SmallVec;

use super::{Op, Specs};
use crate::{Array, Result, Stream, device::Data};

pub(crate) type Inputs = SmallVec<[Array; 3]>;
pub(crate) type Outputs = SmallVec<[Data; 1]>;

/// One recorded operation. Shared by the arrays that are its outputs.
pub(crate) struct Node {
    pub(crate) specs: Specs,
    pub(crate) stream: Stream,
    /// The transform that still needs this node's history, if any.
    scope: Option<Arc<TraceScope>>,
    pending: Mutex<Pending>,
    data: OnceLock<Result<Outputs>>,
}

/// What is left to do for a node.
pub(crate) enum Pending {
    /// Values are known and the history is gone.
    Detached,
    /// The recorded operation. `claimed` is set once an evaluation has taken it on.
    Recorded {
        op: Op,
        inputs: Inputs,
        claimed: bool,
    },
}

impl Node {
    /// A node to compute. Its history stays until `scope`, or the longest-running scope of its
    /// inputs, ends.
    pub(crate) fn recorded(
        op: Op,
        inputs: Inputs,
        specs: Specs,
        stream: Stream,
        scope: Option<Arc<TraceScope>>,
    ) -> Self {
        let scope = inputs.iter().fold(scope, |scope, input| {
            TraceScope::outermost(scope, input.node.scope.as_ref())
        });
        let pending = Mutex::new(Pending::Recorded {
            op,
            inputs,
            claimed: false,
        });
        Node {
            specs,
            stream,
            scope,
            pending,
            data: OnceLock::new(),
        }
    }

    pub(crate) fn ready(specs: Specs, data: Data, stream: Stream) -> Self {
        let outputs = Outputs::from_iter([data]);
        Node {
            specs,
            stream,
            scope: None,
            pending: Mutex::new(Pending::Detached),
            data: OnceLock::from(Ok(outputs)),
        }
    }

    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims the node for an evaluation. False if it has its values, or another one has claimed it.
    pub(crate) fn claim(&self) -> bool {
        if self.data().is_some() {
            return false;
        }
        match &mut *self.pending() {
            Pending::Detached => false,
            Pending::Recorded { claimed, .. } => !std::mem::replace(claimed, true),
        }
    }

    /// The recorded operation for the evaluation that has claimed it. The history ends here unless a
    /// transform still needs it.
    pub(crate) fn take_operation(&self) -> Option<(Op, Inputs)> {
        let mut pending = self.pending();
        if let Pending::Recorded { op, inputs, .. } = &*pending
            && self.is_traced()
        {
            return Some((op.clone(), inputs.clone()));
        }
        match std::mem::replace(&mut *pending, Pending::Detached) {
            Pending::Detached => None,
            Pending::Recorded { op, inputs, .. } => Some((op, inputs)),
        }
    }

    /// The recorded operation, if its history is still there and no evaluation is about to take it.
    pub(crate) fn history(&self) -> Option<(Op, Inputs)> {
        match &*self.pending() {
            Pending::Recorded { claimed: true, .. } if !self.is_traced() => None,
            Pending::Recorded { op, inputs, .. } => Some((op.clone(), inputs.clone())),
            Pending::Detached => None,
        }
    }

    /// True while a transform that this node takes part in is running.
    pub(crate) fn is_traced(&self) -> bool {
        self.scope
            .as_ref()
            .is_some_and(|scope| scope.active.load(Ordering::Relaxed))
    }

    /// The values, if they are known.
    pub(crate) fn data(&self) -> Option<&Result<Outputs>> {
        self.data.get()
    }

    /// The values; blocks until the evaluation that claimed this node has produced them.
    pub(crate) fn wait(&self) -> &Result<Outputs> {
        self.data.wait()
    }

    /// Publishes the values. Only the evaluation that claimed the node calls this, once.
    pub(crate) fn fulfil(&self, result: Result<Outputs>) {
        // A second result can only be the failure guard's after success; the first one stands.
        let _ = self.data.set(result);
    }

    /// The values of a node that nobody else refers to.
    pub(crate) fn take_data(node: &mut Arc<Node>, index: usize) -> Option<Data> {
        let node = Arc::get_mut(node)?;
        if node.specs.len() != 1 {
            return None;
        }
        node.data.take()?.ok()?.into_iter().nth(index)
    }
}

impl Drop for Node {
    /// Frees long chains in a loop: dropping them recursively would overflow the stack.
    fn drop(&mut self) {
        let pending = self
            .pending
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let Pending::Recorded { inputs, .. } = std::mem::replace(pending, Pending::Detached) else {
            return;
        };
        let mut stack = inputs.into_vec();
        while let Some(array) = stack.pop() {
            if let Some(mut node) = Arc::into_inner(array.node) {
                let pending = node
                    .pending
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner);
                if let Pending::Recorded { inputs, .. } =
                    std::mem::replace(pending, Pending::Detached)
                {
                    stack.extend(inputs);
                }
            }
        }
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A running transform. Arrays that depend on its arguments keep their history until it ends.
pub(crate) struct TraceScope {
    active: AtomicBool,
    depth: u32,
}

/// Ends a [`TraceScope`] when dropped.
pub(crate) struct ScopeGuard(pub(crate) Arc<TraceScope>);

impl TraceScope {
    /// Opens a scope inside those already open on this thread.
    pub(crate) fn open() -> ScopeGuard {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        ScopeGuard(Arc::new(TraceScope {
            active: AtomicBool::new(true),
            depth,
        }))
    }

    /// Of two scopes, the running one that ends last.
    fn outermost(
        left: Option<Arc<TraceScope>>,
        right: Option<&Arc<TraceScope>>,
    ) -> Option<Arc<TraceScope>> {
        let right = right.filter(|scope| scope.active.load(Ordering::Relaxed));
        match (left, right) {
            (left, None) => left,
            (None, Some(right)) => Some(right.clone()),
            (Some(left), Some(right)) => Some(if right.depth < left.depth {
                right.clone()
            } else {
                left
            }),
        }
    }
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        self.0.active.store(false, Ordering::Relaxed);
        DEPTH.set(DEPTH.get() - 1);
    }
}
