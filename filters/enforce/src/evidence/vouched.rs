//! The directory as modules of a chain see it: one remembers whose signatures it found good, the others take its word for it.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_model::{Application, Credential, Cutoff, CutoffKind, Settings, Subscription, Tier, TierKind};

use super::{Evidence, Hash, credential};
use crate::token::{SignatureVerifier, TokenCache, Usage};
use crate::{
    CompiledApi, CompiledDecisions, CompiledIssuer, CompiledTier, Directory, Found, Quotas, Revocations, Subscribers,
    Throttle, Unreadable,
};

/// Remembers which credentials were good.
pub(crate) struct Vouching<'d> {
    inner: &'d dyn Directory,
    good: RefCell<Vec<Hash>>,
}

impl<'d> Vouching<'d> {
    pub(crate) fn new(inner: &'d dyn Directory) -> Self {
        Self { inner, good: RefCell::default() }
    }

    /// All of them, each once.
    pub(crate) fn good(&self) -> Vec<Hash> {
        self.good.take()
    }
}

/// Believes evidence instead of checking signatures.
pub(crate) struct Vouched<'d> {
    inner: &'d dyn Directory,
    evidence: &'d Evidence,
}

impl<'d> Vouched<'d> {
    pub(crate) const fn new(inner: &'d dyn Directory, evidence: &'d Evidence) -> Self {
        Self { inner, evidence }
    }
}

/// Everything but signatures is the inner directory's.
macro_rules! delegate {
    ($type:ident { $($own:item)* }) => {
        impl Subscribers for $type<'_> {
            fn credential(&self, key: &[u8]) -> Found<Credential> {
                self.inner.credential(key)
            }

            fn application(&self, uuid: &str) -> Found<Application> {
                self.inner.application(uuid)
            }

            fn subscription(&self, key: &[u8]) -> Found<Subscription> {
                self.inner.subscription(key)
            }

            fn tier(&self, kind: TierKind, name: &str) -> Found<Tier> {
                self.inner.tier(kind, name)
            }

            fn advanced(&self, kind: TierKind, name: &str) -> Found<CompiledTier> {
                self.inner.advanced(kind, name)
            }

            fn decisions(&self, key: &str) -> Found<CompiledDecisions> {
                self.inner.decisions(key)
            }
        }

        impl Revocations for $type<'_> {
            fn is_revoked(&self, token_id: &str) -> Result<bool, Unreadable> {
                self.inner.is_revoked(token_id)
            }

            fn cutoff(&self, kind: CutoffKind, of: &str) -> Found<Cutoff> {
                self.inner.cutoff(kind, of)
            }
        }

        impl Directory for $type<'_> {
            fn settings(&self) -> Option<Rc<Settings>> {
                self.inner.settings()
            }

            fn has_virtual_host(&self, domain: &[u8]) -> bool {
                self.inner.has_virtual_host(domain)
            }

            fn route(&self, virtual_host: &[u8], base_path: &[u8]) -> Result<Option<Rc<str>>, Unreadable> {
                self.inner.route(virtual_host, base_path)
            }

            fn api(&self, virtual_host: &[u8], id: &str) -> Result<Option<Rc<CompiledApi>>, Unreadable> {
                self.inner.api(virtual_host, id)
            }

            fn issuer(&self, iss: &str) -> Option<Rc<CompiledIssuer>> {
                self.inner.issuer(iss)
            }

            fn issuer_named(&self, name: &str) -> Option<Rc<CompiledIssuer>> {
                self.inner.issuer_named(name)
            }

            fn tokens(&self) -> &TokenCache {
                self.inner.tokens()
            }

            fn verifier(&self) -> &dyn SignatureVerifier {
                self.inner.verifier()
            }

            fn throttle(&self) -> Rc<Throttle> {
                self.inner.throttle()
            }

            fn quotas(&self) -> &dyn Quotas {
                self.inner.quotas()
            }

            fn owns_routes(&self) -> bool {
                self.inner.owns_routes()
            }

            fn revision(&self) -> u64 {
                self.inner.revision()
            }

            $($own)*
        }
    };
}

delegate!(Vouching {
    fn found_good(&self, usage: Usage, raw: &str) {
        let hash = credential(usage, raw);
        let mut good = self.good.borrow_mut();
        if !good.contains(&hash) {
            good.push(hash);
        }
    }
});

delegate!(Vouched {
    fn vouched(&self, usage: Usage, raw: &str) -> Option<bool> {
        Some(self.evidence.credentials.contains(&credential(usage, raw)))
    }
});
