//! Evidence as bytes: a version, then fields of fixed order, every one bounded. Anything else is not evidence.

use tollgate_model::GraphQlKind;
use tollgate_model::contract::LIMIT_HEADERS;

use super::{Evidence, Hash, Query, Reached};

/// Most bytes.
pub const MAX_EVIDENCE: usize = 64 * 1024;
/// Most credentials of one request.
pub const MAX_CREDENTIALS: usize = 16;
/// Most fields of a query, and most bytes in the name of one.
const MAX_FIELDS: usize = 4_096;
const MAX_FIELD: usize = 1_024;
/// Most bytes of a header that tells of limits.
const MAX_TOLD: usize = 4_096;

/// The first bytes; the last one is the version. Modules of one chain are of one release, so another version is refused.
const MAGIC: &[u8; 4] = b"TGE\x02";

/// The bytes are not evidence of this version, or there is more of it than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotEvidence;

impl Evidence {
    /// Writes it.
    ///
    /// # Errors
    /// When there is more than is allowed.
    pub fn encode(&self) -> Result<Vec<u8>, NotEvidence> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.reached as u8);
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes.extend_from_slice(&self.request);
        bytes.push(u8::try_from(self.credentials.len()).map_err(|_| NotEvidence)?);
        self.credentials.iter().for_each(|credential| bytes.extend_from_slice(credential));
        match &self.query {
            None => bytes.push(0),
            Some(query) => write_query(query, &mut bytes)?,
        }
        write_told(&self.told, &mut bytes)?;
        let fits = self.credentials.len() <= MAX_CREDENTIALS && bytes.len() <= MAX_EVIDENCE;
        if fits { Ok(bytes) } else { Err(NotEvidence) }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is anything but what [`Evidence::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotEvidence> {
        if bytes.len() > MAX_EVIDENCE {
            return Err(NotEvidence);
        }
        let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(NotEvidence)?);
        let reached = match reader.byte()? {
            1 => Reached::Authenticated,
            2 => Reached::Authorized,
            3 => Reached::Counted,
            4 => Reached::Mediated,
            _ => return Err(NotEvidence),
        };
        let revision = u64::from_be_bytes(reader.array()?);
        let request = reader.array()?;
        let count = usize::from(reader.byte()?);
        if count > MAX_CREDENTIALS {
            return Err(NotEvidence);
        }
        let credentials = (0..count).map(|_| reader.array()).collect::<Result<Vec<Hash>, _>>()?;
        let query = match reader.byte()? {
            0 => None,
            kind => Some(read_query(kind, &mut reader)?),
        };
        let told = read_told(&mut reader)?;
        if !reader.0.is_empty() {
            return Err(NotEvidence);
        }
        Ok(Self { reached, revision, request, credentials, query, told })
    }
}

fn write_query(query: &Query, bytes: &mut Vec<u8>) -> Result<(), NotEvidence> {
    bytes.push(match query.kind {
        GraphQlKind::Query => 1,
        GraphQlKind::Mutation => 2,
        GraphQlKind::Subscription => 3,
    });
    if query.fields.is_empty() || query.fields.len() > MAX_FIELDS {
        return Err(NotEvidence);
    }
    bytes.extend_from_slice(&query.depth.to_be_bytes());
    bytes.extend_from_slice(&query.complexity.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(query.fields.len()).map_err(|_| NotEvidence)?.to_be_bytes());
    for field in &query.fields {
        if field.len() > MAX_FIELD {
            return Err(NotEvidence);
        }
        bytes.extend_from_slice(&u16::try_from(field.len()).map_err(|_| NotEvidence)?.to_be_bytes());
        bytes.extend_from_slice(field.as_bytes());
    }
    Ok(())
}

fn read_query(kind: u8, reader: &mut Reader) -> Result<Query, NotEvidence> {
    let kind = match kind {
        1 => GraphQlKind::Query,
        2 => GraphQlKind::Mutation,
        3 => GraphQlKind::Subscription,
        _ => return Err(NotEvidence),
    };
    let (depth, complexity) = (u32::from_be_bytes(reader.array()?), u64::from_be_bytes(reader.array()?));
    let count = usize::from(u16::from_be_bytes(reader.array()?));
    if count == 0 || count > MAX_FIELDS {
        return Err(NotEvidence);
    }
    let field = |reader: &mut Reader| {
        let length = usize::from(u16::from_be_bytes(reader.array()?));
        if length > MAX_FIELD {
            return Err(NotEvidence);
        }
        String::from_utf8(reader.take(length)?.to_vec()).map_err(|_| NotEvidence)
    };
    let fields = (0..count).map(|_| field(reader)).collect::<Result<Vec<String>, _>>()?;
    Ok(Query { kind, fields, depth, complexity })
}

/// Each header by its place among those that there are, in that order.
fn write_told(told: &[(&'static str, String)], bytes: &mut Vec<u8>) -> Result<(), NotEvidence> {
    bytes.push(u8::try_from(told.len()).map_err(|_| NotEvidence)?);
    for (name, value) in told {
        let at = LIMIT_HEADERS.iter().position(|(known, _)| known == name).ok_or(NotEvidence)?;
        if value.len() > MAX_TOLD {
            return Err(NotEvidence);
        }
        bytes.push(u8::try_from(at).map_err(|_| NotEvidence)?);
        bytes.extend_from_slice(&u16::try_from(value.len()).map_err(|_| NotEvidence)?.to_be_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    Ok(())
}

fn read_told(reader: &mut Reader) -> Result<Vec<(&'static str, String)>, NotEvidence> {
    let count = usize::from(reader.byte()?);
    if count > LIMIT_HEADERS.len() {
        return Err(NotEvidence);
    }
    let header = |reader: &mut Reader| {
        let (name, _) = LIMIT_HEADERS.get(usize::from(reader.byte()?)).ok_or(NotEvidence)?;
        let length = usize::from(u16::from_be_bytes(reader.array()?));
        if length > MAX_TOLD {
            return Err(NotEvidence);
        }
        let value = String::from_utf8(reader.take(length)?.to_vec()).map_err(|_| NotEvidence)?;
        // A header's value, whatever may have put it here.
        let sound = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if sound { Ok((*name, value)) } else { Err(NotEvidence) }
    };
    (0..count).map(|_| header(reader)).collect()
}

/// What is left to be read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], NotEvidence> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(NotEvidence)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NotEvidence> {
        self.take(N)?.try_into().map_err(|_| NotEvidence)
    }

    fn byte(&mut self) -> Result<u8, NotEvidence> {
        self.array().map(|[byte]| byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query() -> impl Strategy<Value = Query> {
        let kind = prop_oneof![Just(GraphQlKind::Query), Just(GraphQlKind::Mutation), Just(GraphQlKind::Subscription)];
        (kind, prop::collection::vec("\\PC{0,20}", 1..5), any::<u32>(), any::<u64>())
            .prop_map(|(kind, fields, depth, complexity)| Query { kind, fields, depth, complexity })
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        let reached = prop::sample::select(vec![
            Reached::Authenticated,
            Reached::Authorized,
            Reached::Counted,
            Reached::Mediated,
        ]);
        let credentials = prop::collection::vec(any::<Hash>(), 0..=MAX_CREDENTIALS);
        let header = (prop::sample::select(LIMIT_HEADERS.map(|(name, _)| name).to_vec()), "[ -~]{0,40}");
        let told = prop::collection::vec(header, 0..=LIMIT_HEADERS.len());
        (reached, any::<u64>(), any::<Hash>(), credentials, prop::option::of(query()), told).prop_map(
            |(reached, revision, request, credentials, query, told)| Evidence {
                reached,
                revision,
                request,
                credentials,
                query,
                told,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(evidence in evidence()) {
            prop_assert_eq!(Evidence::decode(&evidence.encode().unwrap()), Ok(evidence));
        }

        /// There is one way only to write something.
        #[test]
        fn what_is_read_is_what_was_written(evidence in evidence(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut bytes = evidence.encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(read) = Evidence::decode(&bytes) {
                prop_assert_eq!(read.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn no_part_is_evidence(evidence in evidence(), at in any::<prop::sample::Index>()) {
            let bytes = evidence.encode().unwrap();
            prop_assert_eq!(Evidence::decode(&bytes[..at.index(bytes.len())]), Err(NotEvidence));
            prop_assert_eq!(Evidence::decode(&[&bytes[..], b"\0"].concat()), Err(NotEvidence));
        }
    }

    #[test]
    fn bounds_hold() {
        let telling = |credentials: usize, fields: Vec<String>, told: Vec<(&'static str, String)>| Evidence {
            reached: Reached::Authenticated,
            revision: 1,
            request: [0; 32],
            credentials: vec![[1; 32]; credentials],
            query: Some(Query { kind: GraphQlKind::Query, fields, depth: 1, complexity: 1 }),
            told,
        };
        let evidence = |credentials, fields| telling(credentials, fields, Vec::new());
        let one = || vec!["a".to_owned()];
        let told = |name, length| telling(0, one(), vec![(name, "a".repeat(length))]);
        for (good, evidence) in [
            (true, evidence(MAX_CREDENTIALS, one())),
            (false, evidence(MAX_CREDENTIALS + 1, one())),
            (false, evidence(300, one())),
            (false, evidence(0, Vec::new())),
            (true, evidence(0, vec!["a".repeat(MAX_FIELD)])),
            (false, evidence(0, vec!["a".repeat(MAX_FIELD + 1)])),
            (false, evidence(0, vec!["a".repeat(MAX_FIELD); 100])),
            (false, evidence(0, vec![String::new(); MAX_FIELDS + 1])),
            (true, told("ratelimit", MAX_TOLD)),
            (false, told("ratelimit", MAX_TOLD + 1)),
            (false, told("x-other", 1)),
        ] {
            assert_eq!(evidence.encode().is_ok(), good);
        }
        // Another version, and what another plugin may have left there.
        for bytes in [&b""[..], b"TGE\x02", b"TGE\x01", b"{}", &[0; 100]] {
            assert_eq!(Evidence::decode(bytes), Err(NotEvidence), "{bytes:?}");
        }
        // A value that would end the header's line.
        let mut bytes = telling(0, one(), vec![("ratelimit", "a\nb".to_owned())]).encode().unwrap();
        assert_eq!(Evidence::decode(&bytes), Err(NotEvidence));
        *bytes.iter_mut().rev().nth(1).unwrap() = b' ';
        assert!(Evidence::decode(&bytes).is_ok());
    }
}
