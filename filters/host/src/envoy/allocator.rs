//! Memory of a module. A token that is new takes some thirty allocations, of sizes for which the standard library's allocator
//! of wasm searches trees; with this one such a request costs a tenth less.
//!
//! A module has one thread, so it needs no lock.

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

#[global_allocator]
static ALLOCATOR: WasmDynamicTalc = new_wasm_dynamic_allocator();
