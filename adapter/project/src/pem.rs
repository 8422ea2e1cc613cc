//! Certificates in PEM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A certificate in PEM.
#[must_use]
pub fn encode(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for chunk in der.chunks(48) {
        STANDARD.encode_string(chunk, &mut text);
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
