//! `authenticate.wasm`. Finds the API and the operation of a request, and who calls: the first module of a chain.
#![allow(missing_docs, reason = "the one public item is the entry point that the macro makes")]
#![cfg(target_arch = "wasm32")]

proxy_wasm::main! {{
    tollgate_host::start::<tollgate_host::Authenticate>();
}}
