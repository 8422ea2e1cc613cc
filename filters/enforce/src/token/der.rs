//! The few DER structures that Envoy's verifier takes: public keys (RFC 5280 §4.1.2.7) and ECDSA signatures (RFC 3279
//! §2.2.3). Written only, never read.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// AlgorithmIdentifier `rsaEncryption` with NULL parameters.
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// AlgorithmIdentifier `id-ecPublicKey` on `secp256r1`.
pub(super) const EC_P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
/// AlgorithmIdentifier `id-ecPublicKey` on `secp384r1`.
pub(super) const EC_P384: &[u8] =
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// AlgorithmIdentifier `id-ecPublicKey` on `secp521r1`.
pub(super) const EC_P521: &[u8] =
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// SubjectPublicKeyInfo of an RSA key; both numbers big endian without leading zeros.
pub(super) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = element(SEQUENCE, &[integer(modulus), integer(exponent)].concat());
    public_key(&RSA_ENCRYPTION, &key)
}

/// SubjectPublicKeyInfo of a key in its own encoding.
pub(super) fn public_key(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let unused_bits = [0];
    let bit_string = element(BIT_STRING, &[&unused_bits[..], key].concat());
    element(SEQUENCE, &[algorithm, &bit_string].concat())
}

/// An ECDSA signature, from the two halves that a JWS puts side by side (RFC 7518 §3.4).
#[must_use]
pub fn ecdsa_signature(jws: &[u8]) -> Vec<u8> {
    let (r, s) = jws.split_at(jws.len() / 2);
    element(SEQUENCE, &[integer(r), integer(s)].concat())
}

/// A positive integer; a leading zero keeps the top bit from meaning a sign.
fn integer(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    let magnitude = big_endian.get(zeros..).unwrap_or_default();
    let sign: &[u8] = if magnitude.first().is_none_or(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
    element(INTEGER, &[sign, magnitude].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let significant = length.get(zeros..).unwrap_or_default();
    let mut out = vec![tag];
    match significant {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            // At most eight bytes of length, so the count fits beside the long-form flag.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_positive_and_short() {
        for (bytes, expected) in [
            (&[][..], &[0x02, 1, 0][..]),
            (&[0, 0], &[0x02, 1, 0]),
            (&[1], &[0x02, 1, 1]),
            (&[0, 0x7f], &[0x02, 1, 0x7f]),
            (&[0x80], &[0x02, 2, 0, 0x80]),
        ] {
            assert_eq!(integer(bytes), expected);
        }
    }

    #[test]
    fn signatures_are_two_integers() {
        assert_eq!(ecdsa_signature(&[0, 1, 0x80, 2]), [0x30, 8, 0x02, 1, 1, 0x02, 3, 0, 0x80, 2]);
        assert_eq!(ecdsa_signature(&[]), [0x30, 6, 0x02, 1, 0, 0x02, 1, 0]);
    }

    /// 294 bytes is what every tool makes of a 2048-bit key with the exponent 65537, and 91 of a point on P-256.
    #[test]
    fn public_keys() {
        let rsa = rsa_public_key(&[0x81; 256], &[1, 0, 1]);
        assert_eq!((rsa.len(), &rsa[..4]), (294, &[0x30, 0x82, 0x01, 0x22][..]));
        assert_eq!(rsa[rsa.len() - 5..], [0x02, 0x03, 1, 0, 1]);
        assert_eq!(public_key(EC_P256, &[4; 65]).len(), 91);
        assert_eq!(public_key(EC_P384, &[4; 97]).len(), 120);
        assert_eq!(public_key(EC_P521, &[4; 133]).len(), 158);
    }
}
