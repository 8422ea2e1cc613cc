//! `authorize.wasm`. Whether the caller has subscribed and holds the scopes: comes after `authenticate.wasm`.
#![allow(missing_docs, reason = "the one public item is the entry point that the macro makes")]
#![cfg(target_arch = "wasm32")]

proxy_wasm::main! {{
    tollgate_host::start::<tollgate_host::Authorize>();
}}
