//! `observe.wasm`. What access logs are told of a request: stands anywhere, and refuses nothing.
#![allow(missing_docs, reason = "the one public item is the entry point that the macro makes")]
#![cfg(target_arch = "wasm32")]

proxy_wasm::main! {{
    tollgate_host::start::<tollgate_host::Observe>();
}}
