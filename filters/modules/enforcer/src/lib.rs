//! `enforcer.wasm`: the whole path of a request in one module. All it does is start it.
#![allow(missing_docs, reason = "the one public item is the entry point that the macro makes")]
#![cfg(target_arch = "wasm32")]

proxy_wasm::main! {{
    tollgate_host::start::<tollgate_host::Enforcer>();
}}
