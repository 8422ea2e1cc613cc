//! What is compared.

use tollgate_bench::world::Scale;

/// One listener of the measured Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contender {
    /// No filter but the router.
    None,
    /// Envoy's `jwt_authn`, with its cache.
    JwtCached,
    /// The same without it.
    JwtUncached,
    /// The same policy by Envoy's own filters: `jwt_authn` with its cache, `rbac`, `local_ratelimit`, `header_mutation`.
    NativeChain,
    /// `ext_authz`, asking a server that looks at one header.
    ExtAuthz,
    /// The calls between Envoy and the module that `Authn` makes, by a module that does nothing else.
    AuthnCalls,
    /// The same for a token that is new: Envoy checks one signature, always the same.
    AuthnNewCalls,
    /// Ours, with nothing but tokens to check.
    Authn,
    /// The calls of `Full`.
    FullCalls,
    /// Ours with everything: token, subscription, scope, four levels of limits, header policies, record of usage.
    Full,
    /// The same without the limits: what is missing is what they cost.
    FullUnlimited,
    /// `Full` on a gateway with a WebSocket API, whose frames it is shown and limits at three levels.
    Frames,
    /// The same without the limits: frames are shown, and nothing is asked of them.
    FramesUnlimited,
    /// `Full` among 6,000 APIs.
    FullApis,
    /// The same among 100,000 applications with their subscriptions, and 100,000 revoked tokens.
    FullSubscriptions,
}

impl Contender {
    /// In the order in which they take turns.
    pub const ALL: [Self; 15] = [
        Self::None,
        Self::JwtCached,
        Self::JwtUncached,
        Self::NativeChain,
        Self::ExtAuthz,
        Self::AuthnCalls,
        Self::AuthnNewCalls,
        Self::Authn,
        Self::FullCalls,
        Self::Full,
        Self::FullUnlimited,
        Self::Frames,
        Self::FramesUnlimited,
        Self::FullApis,
        Self::FullSubscriptions,
    ];

    /// As reports and `summary.json` call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no_filter",
            Self::JwtCached => "jwt_authn_cached",
            Self::JwtUncached => "jwt_authn_uncached",
            Self::NativeChain => "native_chain",
            Self::ExtAuthz => "ext_authz",
            Self::AuthnCalls => "authn_calls_only",
            Self::AuthnNewCalls => "authn_new_calls_only",
            Self::Authn => "authn",
            Self::FullCalls => "full_calls_only",
            Self::Full => "full",
            Self::FullUnlimited => "full_unlimited",
            Self::Frames => "frames_limited",
            Self::FramesUnlimited => "frames_unlimited",
            Self::FullApis => "full_6000_apis",
            Self::FullSubscriptions => "full_100k_subscriptions",
        }
    }

    /// Position of its listener's port.
    pub fn position(self) -> usize {
        Self::ALL.iter().position(|other| *other == self).unwrap_or_default()
    }

    /// What the snapshot of ours holds; `None` for others.
    pub fn scale(self) -> Option<Scale> {
        let scale = |apis, applications, revoked, everything| {
            let limits = everything && !matches!(self, Self::FullUnlimited | Self::FramesUnlimited);
            Some(Scale { apis, applications, revoked, everything, limits, sockets: self.is_shown_frames() })
        };
        match self {
            Self::None | Self::JwtCached | Self::JwtUncached | Self::NativeChain | Self::ExtAuthz => None,
            Self::AuthnCalls | Self::AuthnNewCalls | Self::FullCalls => None,
            Self::Authn => scale(1, 0, 0, false),
            Self::Full | Self::FullUnlimited | Self::Frames | Self::FramesUnlimited => scale(1, 10, 0, true),
            Self::FullApis => scale(6_000, 10, 0, true),
            Self::FullSubscriptions => scale(1, 100_000, 100_000, true),
        }
    }

    /// Whether Envoy shows it what passes of WebSockets.
    pub const fn is_shown_frames(self) -> bool {
        matches!(self, Self::Frames | Self::FramesUnlimited)
    }

    /// What a request without credentials is answered with.
    pub const fn without_credentials(self) -> u16 {
        match self {
            Self::None | Self::AuthnCalls | Self::AuthnNewCalls | Self::FullCalls => 200,
            Self::ExtAuthz => 403,
            _ => 401,
        }
    }
}
