//! `ratelimit.wasm`. Whether there is quota left at every level: comes after `authorize.wasm`.
#![allow(missing_docs, reason = "the one public item is the entry point that the macro makes")]
#![cfg(target_arch = "wasm32")]

proxy_wasm::main! {{
    tollgate_host::start::<tollgate_host::RateLimit>();
}}
