//! Reads a subscriptions file. Every mistake is reported, with its place, and any error means that nothing is taken.

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest as _, Sha1};
use tollgate_model::{
    Application, Credential, Cutoff, CutoffKind, GraphQlLimits, KeyType, SpikeArrest, Subscription, SubscriptionState,
    Tier, TierKind, keys,
};

use super::document::Document;
use super::entries::{choice, list, moment, name, only, optional, positive, required, spiffe_id};
use super::limits;
use crate::model::{Key, Problems, plans};
use tollgate_project::document::{Node, parse};

const KEY_TYPES: [(&str, KeyType); 2] = [("PRODUCTION", KeyType::Production), ("SANDBOX", KeyType::Sandbox)];

/// Reads the bytes of a file; one whose name ends in `.json` is JSON, any other YAML.
///
/// # Errors
/// All that is wrong with it.
pub fn read(file: &str, bytes: &[u8]) -> Result<Document, Problems> {
    let mut problems = Problems::new();
    let Some(value) = parse(file, bytes, &mut problems) else { return Err(problems) };
    let root = Node::root(file, &value);
    let mut reader = Reader::default();
    if value.is_null() {
        return Ok(reader.document);
    }
    only(
        &root,
        &["tiers", "applications", "cutoffs", "revokedTokens", "denyConditions", "customPolicies"],
        &mut problems,
    );
    for tier in list(&root, "tiers", &mut problems) {
        reader.tier(&tier, &mut problems);
    }
    for application in list(&root, "applications", &mut problems) {
        reader.application(&application, &mut problems);
    }
    for cutoff in list(&root, "cutoffs", &mut problems) {
        reader.cutoff(&cutoff, &mut problems);
    }
    reader.document.throttle = limits::throttle(&root, &mut problems);
    for token in list(&root, "revokedTokens", &mut problems) {
        reader.revoked(&token, &mut problems);
    }
    if problems.has_errors() { Err(problems) } else { Ok(Document { warnings: problems, ..reader.document }) }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    document: Document,
    tiers: BTreeSet<(TierKind, String)>,
    /// Where every key of a table was first seen: one that comes again would replace it.
    places: BTreeMap<(&'static str, Key), String>,
}

impl Reader {
    /// Whether nothing of this table has this key yet. Something that has is a problem.
    fn fresh(&mut self, table: &'static str, key: &Key, node: &Node, problems: &mut Problems) -> bool {
        match self.places.get(&(table, key.clone())) {
            None => {
                self.places.insert((table, key.clone()), node.at().1.to_owned());
                true
            }
            Some(place) => {
                let what = format!("the same {table} is already at {place}");
                node.error(problems, what, "only one of the two could count", "remove one of them");
                false
            }
        }
    }

    fn tier(&mut self, node: &Node, problems: &mut Problems) {
        let known =
            ["name", "kind", "limits", "groups", "posture", "shadow", "stopOnQuotaReach", "spikeArrest", "graphQL"];
        only(node, &known, problems);
        let kinds = [TierKind::Application, TierKind::Subscription, TierKind::Api].map(|kind| (kind.name(), kind));
        let kind = match node.get("kind") {
            Some(kind) => choice(&kind, &kinds, problems),
            None => Some(TierKind::Subscription),
        };
        let stop = node.get("stopOnQuotaReach").map_or(Some(true), |stop| stop.boolean(problems));
        let spike_arrest = node.get("spikeArrest").and_then(|spike| {
            only(&spike, &["requests", "seconds"], problems);
            let mut number = |member| member_number(&spike, member, problems);
            Some(SpikeArrest { requests: number("requests")?, seconds: number("seconds")? })
        });
        let graphql = node.get("graphQL").map_or_else(GraphQlLimits::default, |limits| {
            only(&limits, &["maxDepth", "maxComplexity"], problems);
            let mut number = |member| limits.get(member).and_then(|limit| positive(&limit, problems));
            GraphQlLimits { max_depth: number("maxDepth"), max_complexity: number("maxComplexity") }
        });
        let (Some(name), Some(kind), Some(stop_on_quota_reach)) = (required(node, "name", problems), kind, stop) else {
            return;
        };
        let key = Key::from(keys::tier(kind, name));
        if self.fresh("tier", &key, node, problems) {
            self.tiers.insert((kind, name.to_owned()));
            let rules = limits::rules(node, problems);
            let name = name.to_owned();
            let limits::Rules { limits, groups, posture, shadow } = rules;
            let tier = Tier { name, stop_on_quota_reach, spike_arrest, graphql, limits, groups, posture, shadow };
            self.document.tiers.push((key, tier));
        }
    }

    /// The name of a plan that there is.
    fn tier_name(&self, kind: TierKind, node: &Node, problems: &mut Problems) -> Option<String> {
        let Some(child) = node.get("tier") else { return Some(Tier::UNLIMITED.to_owned()) };
        let name = name(&child, problems)?;
        let key = Key::from(keys::tier(kind, name));
        let known =
            self.tiers.contains(&(kind, name.to_owned())) || plans::shipped().any(|(shipped, _)| shipped == key);
        if !known {
            let fix = format!("add a tier of kind {} with this name, or write {}", kind.name(), Tier::UNLIMITED);
            child.error(problems, format!("there is no tier {name}"), "nobody could say what it allows", &fix);
            return None;
        }
        Some(name.to_owned())
    }

    fn application(&mut self, node: &Node, problems: &mut Problems) {
        let known = [
            "name",
            "uuid",
            "id",
            "subscriber",
            "tenant",
            "tier",
            "attributes",
            "keys",
            "apiKeys",
            "workloads",
            "subscriptions",
        ];
        only(node, &known, problems);
        let id = node.get("id").map_or(Some(-1), |id| id.number(problems).and_then(|id| i64::try_from(id).ok()));
        let tier = self.tier_name(TierKind::Application, node, problems);
        let attributes = attributes(node, problems);
        let subscriber = optional(node, "subscriber", problems).unwrap_or("unknown").to_owned();
        let tenant = optional(node, "tenant", problems).unwrap_or("carbon.super").to_owned();
        let (uuid, name) = (optional(node, "uuid", problems), required(node, "name", problems));
        // Without a name there is nothing to derive an id from, but the rest is checked all the same.
        let uuid = uuid.map_or_else(|| derived_uuid(&tenant, &subscriber, name.unwrap_or_default()), ToOwned::to_owned);
        for key in list(node, "keys", problems) {
            self.client(&uuid, &key, problems);
        }
        for key in list(node, "apiKeys", problems) {
            self.api_key(&uuid, &key, problems);
        }
        for workload in list(node, "workloads", problems) {
            self.workload(&uuid, &workload, problems);
        }
        for subscription in list(node, "subscriptions", problems) {
            self.subscription(&uuid, &subscription, problems);
        }
        let (Some(name), Some(tier), Some(id)) = (name, tier, id) else { return };
        let key = Key::from(uuid.as_bytes());
        if self.fresh("application", &key, node, problems) {
            let name = name.to_owned();
            self.document
                .applications
                .push((key, Application { uuid, id, name, subscriber, tenant, tier, attributes }));
        }
    }

    fn client(&mut self, application: &str, node: &Node, problems: &mut Problems) {
        only(node, &["keyManager", "consumerKey", "type"], problems);
        let manager = optional(node, "keyManager", problems).unwrap_or("Resident Key Manager");
        let consumer_key = required(node, "consumerKey", problems);
        let key_type = node.get("type").map_or(Some(KeyType::Production), |kind| choice(&kind, &KEY_TYPES, problems));
        let (Some(consumer_key), Some(key_type)) = (consumer_key, key_type) else { return };
        let key = Key::from(keys::credential(manager, consumer_key));
        if self.fresh("consumer key", &key, node, problems) {
            let credential = Credential::of(application.to_owned(), key_type);
            self.document.credentials.push((key, credential));
        }
    }

    /// A service of a mesh, by its SPIFFE ID.
    fn workload(&mut self, application: &str, node: &Node, problems: &mut Problems) {
        only(node, &["spiffeId", "type", "scopes"], problems);
        let key_type = node.get("type").map_or(Some(KeyType::Production), |kind| choice(&kind, &KEY_TYPES, problems));
        let scopes = list(node, "scopes", problems);
        let scopes: Vec<&str> = scopes.iter().filter_map(|scope| name(scope, problems)).collect();
        let id = node.get("spiffeId").and_then(|id| spiffe_id(&id, problems));
        if node.get("spiffeId").is_none() {
            let fix = "add spiffeId, for example spiffe://cluster.local/ns/shop/sa/checkout";
            node.error(problems, "spiffeId is missing", "nobody could be recognised", fix);
        }
        let (Some(id), Some(key_type)) = (id, key_type) else { return };
        let key = Key::from(keys::workload(id));
        if self.fresh("SPIFFE ID", &key, node, problems) {
            let scopes = scopes.into_iter().map(str::to_owned).collect();
            self.document
                .credentials
                .push((key, Credential { scopes, ..Credential::of(application.to_owned(), key_type) }));
        }
    }

    fn api_key(&mut self, application: &str, node: &Node, problems: &mut Problems) {
        only(node, &["sha256", "type", "created", "expires"], problems);
        let key_type = node.get("type").map_or(Some(KeyType::Production), |kind| choice(&kind, &KEY_TYPES, problems));
        let mut at = |member| node.get(member).map(|child| moment(&child, problems));
        let (created, expires) = (at("created"), at("expires"));
        let digest = required(node, "sha256", problems).and_then(|text| {
            let mut digest = [0; 32];
            let good = hex::decode_to_slice(text, &mut digest).is_ok();
            if !good {
                let fix = "write the output of `printf %s \"$key\" | sha256sum`";
                node.error(
                    problems,
                    "sha256 is expected to be 64 hexadecimal digits",
                    "keys are never stored as such",
                    fix,
                );
            }
            good.then_some(digest)
        });
        let (Some(digest), Some(key_type), None | Some(Some(_)), None | Some(Some(_))) =
            (digest, key_type, created, expires)
        else {
            return;
        };
        let key = Key::from(keys::opaque_key(&digest));
        if self.fresh("API key", &key, node, problems) {
            let expires_at = expires.flatten().map(u64::from);
            let issued_at = created.flatten().map(i64::from);
            let credential = Credential { expires_at, issued_at, ..Credential::of(application.to_owned(), key_type) };
            self.document.credentials.push((key, credential));
        }
    }

    fn subscription(&mut self, application: &str, node: &Node, problems: &mut Problems) {
        only(node, &["apiId", "api", "version", "tier", "state"], problems);
        let states = SubscriptionState::ALL.map(|state| (state.name(), state));
        let state =
            node.get("state").map_or(Some(SubscriptionState::Unblocked), |state| choice(&state, &states, problems));
        let tier = self.tier_name(TierKind::Subscription, node, problems);
        let key = match (node.get("apiId"), node.get("api")) {
            (Some(id), None) if node.get("version").is_none() => {
                name(&id, problems).map(|id| keys::subscription(application, id))
            }
            (None, Some(api)) => match (name(&api, problems), required(node, "version", problems)) {
                (Some(name), Some(version)) => Some(keys::subscription_by_name(application, name, version)),
                _ => None,
            },
            _ => {
                let fix = "write either apiId, or api and version";
                node.error(problems, "the subscription does not say clearly which API it is for", "", fix);
                None
            }
        };
        let (Some(key), Some(state), Some(tier)) = (key.map(Key::from), state, tier) else { return };
        if self.fresh("subscription", &key, node, problems) {
            self.document.subscriptions.push((key, Subscription { state, tier }));
        }
    }

    fn cutoff(&mut self, node: &Node, problems: &mut Problems) {
        let kinds = CutoffKind::ALL.map(CutoffKind::name);
        only(node, &[&kinds[..], &["before"]].concat(), problems);
        let named: Vec<(CutoffKind, Node)> =
            CutoffKind::ALL.into_iter().filter_map(|kind| Some((kind, node.get(kind.name())?))).collect();
        let before = match node.get("before") {
            Some(before) => moment(&before, problems),
            None => {
                node.error(problems, "before is missing", "", "add the moment before which tokens are not accepted");
                None
            }
        };
        let [(kind, of)] = named.as_slice() else {
            let fix = format!("write exactly one of {}", kinds.join(", "));
            return node.error(problems, "the cut-off does not say clearly whose tokens it is for", "", &fix);
        };
        let (Some(of), Some(before)) = (name(of, problems), before) else { return };
        let key = Key::from(keys::cutoff(*kind, of));
        if self.fresh("cut-off", &key, node, problems) {
            self.document.cutoffs.push((key, Cutoff { before: before.into() }));
        }
    }

    fn revoked(&mut self, node: &Node, problems: &mut Problems) {
        only(node, &["jti", "expires"], problems);
        let expires = match node.get("expires") {
            Some(expires) => moment(&expires, problems),
            None => {
                node.error(problems, "expires is missing", "the list would only grow", "add the token's exp");
                None
            }
        };
        if let (Some(jti), Some(expires)) = (required(node, "jti", problems), expires) {
            self.document.revoked.push((jti.to_owned(), expires));
        }
    }
}

fn member_number(node: &Node, member: &str, problems: &mut Problems) -> Option<u32> {
    match node.get(member) {
        Some(child) => positive(&child, problems),
        None => {
            node.error(problems, format!("{member} is missing"), "", &format!("add {member}"));
            None
        }
    }
}

fn attributes(node: &Node, problems: &mut Problems) -> BTreeMap<String, String> {
    let members = node.get("attributes").map(|attributes| attributes.members(problems)).unwrap_or_default();
    let text = |(name, value): (&str, Node)| Some((name.to_owned(), value.text(problems)?.to_owned()));
    members.into_iter().filter_map(text).collect()
}

/// A UUID (version 5, in a namespace of its own) that stays the same as long as tenant, subscriber and name do.
fn derived_uuid(tenant: &str, subscriber: &str, name: &str) -> String {
    let digest: [u8; 20] = Sha1::digest(format!("tollgate application\0{tenant}\0{subscriber}\0{name}")).into();
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = digest;
    let bytes = [a, b, c, d, e, f, (g & 0x0f) | 0x50, h, (i & 0x3f) | 0x80, j, k, l, m, n, o, p];
    let text = hex::encode(bytes);
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
