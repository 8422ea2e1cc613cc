//! Parameters of a query, read without changing a byte of it.

use std::borrow::Cow;

/// The value of the parameter of that name, decoded, if there is exactly one.
pub(crate) fn only<'q>(query: &'q [u8], name: &[u8]) -> Option<Cow<'q, [u8]>> {
    let mut found = pairs(query).filter(|pair| is_named(pair, name));
    let first = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let value = first.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default();
    Some(form_decoded(value))
}

/// The query without the parameters of these names; everything else keeps its order and encoding. Queries begin with a
/// question mark or are empty.
pub(crate) fn without<'q>(query: &'q [u8], names: &[&[u8]]) -> Cow<'q, [u8]> {
    let unwanted = |pair: &&[u8]| names.iter().any(|name| is_named(pair, name));
    if !pairs(query).any(|pair| unwanted(&pair)) {
        return Cow::Borrowed(query);
    }
    let kept: Vec<&[u8]> = pairs(query).filter(|pair| !unwanted(pair)).collect();
    if kept.is_empty() {
        return Cow::Borrowed(b"");
    }
    Cow::Owned([b"?".as_slice(), &kept.join(b"&".as_slice())].concat())
}

/// All parameters, decoded. Bytes that are no UTF-8 are replaced.
pub(crate) fn decoded(query: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&form_decoded(bytes)).into_owned();
    let halves = |pair: &[u8]| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        (text(halves.next().unwrap_or_default()), text(halves.next().unwrap_or_default()))
    };
    pairs(query).filter(|pair| !pair.is_empty()).map(halves).collect()
}

fn pairs(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.strip_prefix(b"?").into_iter().flat_map(|query| query.split(|byte| *byte == b'&'))
}

/// Whether the name of the parameter, decoded, is this one.
pub(crate) fn is_named(pair: &[u8], name: &[u8]) -> bool {
    let written = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    form_decoded(written).as_ref() == name
}

/// As forms encode: `+` is a space.
pub(crate) fn form_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decoded(text);
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decoded(&spaced).into_owned())
}

/// Decodes `%XX`. A percent sign without two digits stays as it is.
pub(crate) fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after.split_first_chunk::<2>().and_then(|([high, low], tail)| Some((hex(*high)?, hex(*low)?, tail)));
        match code {
            Some((high, low, tail)) if *first == b'%' => {
                out.push(high << 4 | low);
                rest = tail;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_parameter_is_found() {
        for (query, value) in [
            ("?apikey=a.b.c", Some("a.b.c")),
            ("?x=1&apikey=a%2Eb&y", Some("a.b")),
            ("?%61pikey=a", Some("a")),
            ("?apikey=a=b", Some("a=b")),
            ("?apikey", Some("")),
            ("?apikey=a+b", Some("a b")),
            ("?apikey=a&apikey=b", None),
            ("?apikey=a&%61pikey=a", None),
            ("?APIKEY=a", None),
            ("?xapikey=a", None),
            ("", None),
            ("?", None),
        ] {
            assert_eq!(only(query.as_bytes(), b"apikey").as_deref(), value.map(str::as_bytes), "{query}");
        }
    }

    #[test]
    fn a_parameter_is_taken_away_and_the_rest_stays_as_it_is() {
        for (query, rest) in [
            ("?apikey=a", ""),
            ("?b=%2F&apikey=a&c=+&&d", "?b=%2F&c=+&&d"),
            ("?apikey=a&x&%61pikey=b", "?x"),
            ("?b=1", "?b=1"),
            ("?", "?"),
            ("", ""),
        ] {
            assert_eq!(without(query.as_bytes(), &[b"apikey"]).as_ref(), rest.as_bytes(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn nothing_of_that_name_is_left(query in "[?]?([a%61pikey&=+]|apikey){0,12}") {
            let rest = without(query.as_bytes(), &[b"apikey"]).into_owned();
            prop_assert!(!pairs(&rest).any(|pair| is_named(pair, b"apikey")));
            prop_assert_eq!(without(&rest, &[b"apikey"]).into_owned(), rest);
        }
    }
}
