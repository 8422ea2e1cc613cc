//! The requests whose cost is measured without Envoy.

use anyhow::{Context, Result, bail, ensure};

use crate::bare::Bench;
use crate::tokens::{Algorithm, Signer};
use crate::world::{self, API_KEY_HEADER, PATH, Scale};

/// Requests that differ: more than are remembered.
const MANY: usize = 5_000;
/// Tokens that are seen before the first is measured. All that there are in a scenario of new tokens are so many and
/// [`MANY`] more.
const SEEN: usize = 1_000;

/// What a request is, and what the filter that gets it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A token that was seen before, and nothing but tokens to check; routes are somebody else's.
    Authn,
    /// The same for another resource each time.
    AuthnPaths,
    /// The same with a token that is new each time, without the check of its signature.
    AuthnNew,
    /// `Authn` with subscription, scope, four levels of limits, header policies and record.
    Full,
    /// The same for another resource each time.
    FullPaths,
    /// `Full` without the limits: what is missing is what they cost.
    FullUnlimited,
    /// `Full` among 6,000 APIs, 20,000 applications and as many revoked tokens.
    FullLarge,
    /// `Full` for 5,000 callers in turn, each with an application and limits of its own.
    FullCallers,
    /// `Full` with an API key instead of a token.
    ApiKey,
    /// No credentials at all.
    Rejected,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Authn,
        Self::AuthnPaths,
        Self::AuthnNew,
        Self::Full,
        Self::FullPaths,
        Self::FullUnlimited,
        Self::FullLarge,
        Self::FullCallers,
        Self::ApiKey,
        Self::Rejected,
    ];

    /// Its name on command lines and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authn => "authn",
            Self::AuthnPaths => "authn-paths",
            Self::AuthnNew => "authn-new",
            Self::Full => "full",
            Self::FullPaths => "full-paths",
            Self::FullUnlimited => "full-unlimited",
            Self::FullLarge => "full-large",
            Self::FullCallers => "full-callers",
            Self::ApiKey => "api-key",
            Self::Rejected => "rejected",
        }
    }

    /// The one of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|scenario| scenario.name() == name) {
            Some(scenario) => Ok(scenario),
            None => bail!("there is no scenario '{name}'"),
        }
    }

    fn scale(self) -> Scale {
        let (apis, applications, revoked) = match self {
            Self::Authn | Self::AuthnPaths | Self::AuthnNew => (1, 0, 0),
            Self::Full | Self::FullPaths | Self::FullUnlimited | Self::ApiKey | Self::Rejected => (1, 10, 0),
            Self::FullCallers => (1, MANY, 0),
            Self::FullLarge => (6_000, 20_000, 20_000),
        };
        let everything = !matches!(self, Self::Authn | Self::AuthnPaths | Self::AuthnNew);
        let limits = everything && self != Self::FullUnlimited;
        Scale { apis, applications, revoked, everything, limits, sockets: false }
    }

    /// A filter with its request at hand, which was made often enough that nothing of it is new.
    ///
    /// # Errors
    /// When the request is not answered as it should be.
    pub fn prepare(self) -> Result<Bench> {
        let signer = Signer::generate()?;
        // Signed before the filter's clock stands still: taking over a large population may last minutes under callgrind, and a
        // token from the future is refused.
        let bearer = format!("Bearer {}", signer.token(Algorithm::Rs256, 0, &[])?);
        let key = signer.api_key()?;
        let scale = self.scale();
        let bench = Bench::new(&world::frames(scale, &signer.jwks()?)?, scale.everything)?;
        let mut headers = vec![
            (":authority", "localhost"),
            (":path", PATH),
            (":method", "GET"),
            (":scheme", "http"),
            ("authorization", bearer.as_str()),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "2b0c4d9e-5f33-4b5e-8f0b-2f0d3b4a9c10"),
            ("user-agent", "wrk"),
            ("accept", "*/*"),
        ];
        if self == Self::ApiKey {
            headers.retain(|(name, _)| *name != "authorization");
            headers.push((API_KEY_HEADER, key.as_str()));
        }
        let mut expected = 200;
        if self == Self::Rejected {
            headers.retain(|(name, _)| *name != "authorization");
            expected = 401;
        }
        if matches!(self, Self::AuthnNew | Self::FullCallers) {
            let holders = if self == Self::AuthnNew { SEEN.saturating_add(MANY) } else { MANY };
            for holder in 0..holders {
                let bearer = format!("Bearer {}", signer.unproven(holder)?);
                let put = headers
                    .iter()
                    .map(|(name, value)| (*name, if *name == "authorization" { bearer.as_str() } else { *value }));
                bench.put(&put.collect::<Vec<_>>());
            }
            if self == Self::AuthnNew {
                run(&bench, SEEN, expected)?;
                return Ok(bench);
            }
        }
        let paths = match self {
            Self::FullCallers => 0,
            Self::AuthnPaths | Self::FullPaths => MANY,
            _ => 1,
        };
        for number in 0..paths {
            let path = format!("{PATH}{number}");
            let put =
                headers.iter().map(|(name, value)| (*name, if *name == ":path" { path.as_str() } else { *value }));
            bench.put(&put.collect::<Vec<_>>());
        }
        // Long enough for leases of quota to have grown.
        for _ in 0..40 {
            run(&bench, 500, expected)?;
            bench.tick()?;
        }
        Ok(bench)
    }
}

fn run(bench: &Bench, requests: usize, expected: u16) -> Result<()> {
    for _ in 0..requests {
        let status = bench.run().with_context(|| bench.lines().join("\n"))?;
        ensure!(status == expected, "answered {status}: {:?}", bench.lines());
    }
    Ok(())
}
