//! `mediate.wasm`. What the backend gets, policies and interceptors: comes after `ratelimit.wasm`, and is the last.
#![allow(missing_docs, reason = "the one public item is the entry point that the macro makes")]
#![cfg(target_arch = "wasm32")]

proxy_wasm::main! {{
    tollgate_host::start::<tollgate_host::Mediate>();
}}
