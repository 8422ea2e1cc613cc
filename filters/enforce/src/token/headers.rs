//! The headers of good tokens. An issuer writes the same one into almost all of its tokens, so it need not be read again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{JoseHeader, Jws};
use crate::bytes::same;

/// Headers that are remembered: one for each algorithm and key of some issuers.
const MOST: usize = 8;
/// Most bytes of one.
const LONGEST: usize = 1_024;

/// Headers by their texts; the latest come first.
#[derive(Debug, Default)]
pub(super) struct Headers(RefCell<VecDeque<(Box<str>, Rc<JoseHeader>)>>);

impl Headers {
    pub(super) fn get(&self, text: &str) -> Option<Rc<JoseHeader>> {
        let known = self.0.try_borrow().ok()?;
        known.iter().find(|(other, _)| same(other.as_bytes(), text.as_bytes())).map(|(_, header)| Rc::clone(header))
    }

    /// Remembers the header of a token whose signature is good. Others crowd nobody out.
    pub(super) fn put(&self, jws: &Jws) {
        let text = jws.header_text();
        if let Ok(mut known) = self.0.try_borrow_mut()
            && text.len() <= LONGEST
            && !known.iter().any(|(_, header)| Rc::ptr_eq(header, &jws.header))
        {
            known.truncate(MOST.saturating_sub(1));
            known.push_front((text.into(), Rc::clone(&jws.header)));
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(kid: &str) -> String {
        let header = format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#);
        [header.as_str(), "{}", "signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }

    #[test]
    fn the_latest_headers_are_known_by_their_texts() {
        let headers = Headers::default();
        let put = |kid: &str| {
            let token = token(kid);
            let jws = Jws::parse_knowing(&token, |text| headers.get(text)).unwrap();
            headers.put(&jws);
            jws.header
        };
        let first = put("first");
        assert!(Rc::ptr_eq(&first, &put("first")), "it is not read again");
        for number in 0..MOST {
            let kid = number.to_string();
            assert_eq!(put(&kid).kid.as_deref(), Some(kid.as_str()));
        }
        assert!(!Rc::ptr_eq(&first, &put("first")), "no more than some are kept");
        put(&"x".repeat(LONGEST));
        assert_eq!(headers.0.borrow().len(), MOST);
        assert!(headers.0.borrow().iter().all(|(text, _)| text.len() <= LONGEST));
    }
}
