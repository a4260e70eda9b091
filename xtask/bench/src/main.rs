//! Development command.

fn main() {}
