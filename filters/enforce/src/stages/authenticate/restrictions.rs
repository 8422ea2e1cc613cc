//! Where an API key may be used from: addresses and referring pages.

use std::net::IpAddr;

use tollgate_model::Settings;

use crate::connection::client_address;
use crate::token::Claims;
use crate::{Cx, Header, wildcard};

/// Longest referer that is looked at.
const MAX_REFERER: usize = 8 * 1024;

/// Whether the request comes from where the key may be used. As in the original, a permitted address is enough, and another
/// one is too little, whatever the page.
pub(super) fn met(cx: &Cx, settings: &Settings, claims: &Claims) -> bool {
    match (&claims.permitted_addresses, &claims.permitted_referers) {
        (Some(list), _) => client_address(cx, settings).is_some_and(|address| contains_address(list, address)),
        (None, Some(list)) => match cx.request.get("referer") {
            Header::One(referer) => contains_referer(list, referer),
            Header::Absent | Header::Many => false,
        },
        (None, None) => true,
    }
}

/// Whether one of the addresses and networks, separated by commas, contains the address. What is neither contains none.
fn contains_address(list: &str, address: IpAddr) -> bool {
    list.split(',').any(|entry| in_network(entry.trim(), address) == Some(true))
}

fn in_network(entry: &str, address: IpAddr) -> Option<bool> {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, Some(bits.parse::<u32>().ok()?)),
        None => (entry, None),
    };
    let (network, address, width) = match (network.parse::<IpAddr>().ok()?, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return Some(false),
    };
    let rest = u32::checked_sub(width, bits.unwrap_or(width))?;
    // A shift by the whole width is left out by `checked_shr`: every address is in such a network.
    Some(network.checked_shr(rest).unwrap_or(0) == address.checked_shr(rest).unwrap_or(0))
}

/// Whether one of the patterns, separated by commas, is the whole of the referer. `*` stands for any text without spaces.
fn contains_referer(list: &str, referer: &[u8]) -> bool {
    let Ok(referer) = std::str::from_utf8(referer) else { return false };
    let plain = referer.len() <= MAX_REFERER && !referer.contains(' ');
    plain && list.split(',').any(|pattern| wildcard::matches(pattern.trim(), referer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (list, address, contained) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("192.168.0.0/16, 10.0.0.1", "10.0.0.1", true),
            ("192.168.0.0/16", "192.168.255.1", true),
            ("192.168.0.0/16", "192.169.0.1", false),
            ("192.168.7.9/24", "192.168.7.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/33", "10.0.0.1", false),
            ("10.0.0.1/-1", "10.0.0.1", false),
            ("10.0.0.1/", "10.0.0.1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:DB8::1", "2001:db8:0::1", true),
            ("2001:db8::1/129", "2001:db8::1", false),
            ("", "10.0.0.1", false),
            ("localhost", "127.0.0.1", false),
        ] {
            assert_eq!(contains_address(list, address.parse().unwrap()), contained, "{list} {address}");
        }
    }

    #[test]
    fn referers() {
        for (list, referer, contained) in [
            ("www.abc.com/path", "www.abc.com/path", true),
            ("www.abc.com/path", "www.abc.com/path2", false),
            ("www.abc.com/*, sub.cds.com", "www.abc.com/a/b", true),
            ("www.abc.com/*", "http://www.abc.com/a", false),
            ("*.cds.com/*", "https://a.cds.com/x", true),
            ("*", "anything", true),
            ("*", "with space", false),
            ("", "", true),
            ("a", "", false),
        ] {
            assert_eq!(contains_referer(list, referer.as_bytes()), contained, "{list} {referer}");
        }
        assert!(!contains_referer("*", b"\xff"));
    }
}
