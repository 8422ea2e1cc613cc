//! The adapter.
fn main() {}
