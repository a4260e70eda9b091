//! Owns lazy arrays, operations, evaluation and transforms; knows no kernel.
