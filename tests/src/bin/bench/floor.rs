//! Modules that make the calls of a request and do nothing else: no module that makes them can be faster.
//!
//! They let everything pass, and must never be taken for a filter.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs8::EncodePublicKey as _;
use rsa::{BigUint, RsaPublicKey};
use serde_json::Value;

/// Envoy's calls of `authn` (context created, headers, context deleted), and its own: the header map, the clock, and one header
/// taken away. Texts lie where the calls say; whatever the host returns is put behind them.
const AUTHN: &str = r#"
(module
  (import "env" "proxy_get_header_map_pairs" (func $map (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $record (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function"
    (func $ask (param i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 64) "authorization")
  (data (i32.const 128) ":path/orders/42")
  (data (i32.const 192) "x-first-headerx-second-headerx-third-header")
  (data (i32.const 256) "a value that is as long as the names of clusters are")
  (data (i32.const 320) "verify_signature")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 65536)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_delete") (param i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $map (i32.const 0) (i32.const 0) (i32.const 4)))
    (drop (call $now (i32.const 8)))
    (drop (call $remove (i32.const 0) (i32.const 64) (i32.const 13)))
    ;; more
    i32.const 0))
"#;

/// The further calls of `full`: the path, three headers, and the record.
const FURTHER: &str = "
    (drop (call $set (i32.const 0) (i32.const 128) (i32.const 5) (i32.const 133) (i32.const 10)))
    (drop (call $set (i32.const 0) (i32.const 192) (i32.const 14) (i32.const 256) (i32.const 52)))
    (drop (call $set (i32.const 0) (i32.const 206) (i32.const 15) (i32.const 256) (i32.const 5)))
    (drop (call $set (i32.const 0) (i32.const 221) (i32.const 14) (i32.const 256) (i32.const 10)))
    (drop (call $record (i32.const 192) (i32.const 14) (i32.const 1024) (i32.const 300)))";

/// The further call for a token that is new: Envoy checks its signature. It says yes with two bytes, or this is no measure.
const CHECK: &str = "
    (drop (call $ask (i32.const 320) (i32.const 16) (i32.const 4096) (i32.const LENGTH) (i32.const 16) (i32.const 20)))
    (if (i32.ne (i32.load16_u (i32.load (i32.const 16))) (i32.const 0x0108)) (then unreachable))";

/// With the calls of `authn`, in base64, as Envoy takes it in its configuration.
pub fn authn() -> Result<String> {
    assemble("", &[])
}

/// With the calls of `full`.
pub fn full() -> Result<String> {
    assemble(FURTHER, &[])
}

/// With the calls of `authn` for a new token, whose signature is this `question` of Envoy's `verify_signature`.
pub fn new_token(question: &[u8]) -> Result<String> {
    assemble(&CHECK.replace("LENGTH", &question.len().to_string()), question)
}

fn assemble(further: &str, question: &[u8]) -> Result<String> {
    let question: String = question.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let data = format!("(data (i32.const 4096) \"{question}\")\n  (func (export \"proxy_abi_version_0_2_1\"))");
    let text = AUTHN.replace("(func (export \"proxy_abi_version_0_2_1\"))", &data).replace(";; more", further);
    Ok(STANDARD.encode(wat::parse_str(text).context("assembling a module that does nothing")?))
}

/// What Envoy's `verify_signature` is asked about this token, a protobuf message: hash function, key, signature, text.
pub fn question(token: &str, jwks: &Value) -> Result<Vec<u8>> {
    let (signed, signature) = token.rsplit_once('.').context("no token")?;
    let number = |name: &str| -> Result<BigUint> {
        let text = jwks.pointer("/keys/0").and_then(|key| key.get(name)).and_then(Value::as_str);
        Ok(BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text.context("the first key is not an RSA key")?)?))
    };
    let key = RsaPublicKey::new(number("n")?, number("e")?).context("reading the key")?;
    let key = key.to_public_key_der().context("encoding the key")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).context("decoding the signature")?;
    let mut question = Vec::new();
    for (tag, field) in
        [(0x0a, b"sha256".as_slice()), (0x12, key.as_bytes()), (0x1a, &signature), (0x22, signed.as_bytes())]
    {
        question.push(tag);
        let mut length = field.len();
        while length >= 0x80 {
            question.push(u8::try_from(length & 0x7f)? | 0x80);
            length >>= 7;
        }
        question.push(u8::try_from(length)?);
        question.extend_from_slice(field);
    }
    Ok(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_can_be_assembled() {
        let question = [7; 1_000];
        let sizes = [authn(), full(), new_token(&question)].map(|module| module.unwrap().len());
        assert!(sizes.is_sorted(), "{sizes:?}");
    }
}
