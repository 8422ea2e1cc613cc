//! `[tollgate.revocation.etcd]`: where systems leave word of tokens that they revoke.

use tollgate_model::Secret;

use super::reader::Reader;
use crate::inputs::revocation::EtcdSettings;

const SECTION: &str = "tollgate.revocation.etcd";

pub(super) fn read(reader: &mut Reader<'_>) -> Option<EtcdSettings> {
    let key = |name: &str| format!("{SECTION}.{name}");
    let endpoints = reader.texts(&key("endpoints"));
    let prefix = reader.text(&key("prefix"));
    let trusted = reader.path(&key("trustedCertPath"));
    let user = match (reader.text(&key("username")), reader.text(&key("password"))) {
        (None, None) => None,
        (Some(name), Some(password)) => Some((name, Secret::from(password))),
        (Some(_), None) => {
            reader.error(
                &key("password"),
                "the user of etcd is configured, its password is not",
                "set both or neither",
            );
            None
        }
        (None, Some(_)) => {
            reader.error(
                &key("username"),
                "the password for etcd is configured, its user is not",
                "set both or neither",
            );
            None
        }
    };
    let endpoints = endpoints?;
    let good = |endpoint: &String| endpoint.starts_with("http://") || endpoint.starts_with("https://");
    if endpoints.is_empty() || !endpoints.iter().all(good) {
        let fix = "write for example [\"http://127.0.0.1:2379\"], or remove the section";
        reader.error(&key("endpoints"), "there is no address of etcd, or one that is no URL", fix);
    }
    if user.is_some() && endpoints.iter().any(|endpoint| endpoint.starts_with("http://")) {
        reader.warn(&key("endpoints"), "the password travels unencrypted", "use https");
    }
    let prefix = prefix.unwrap_or_else(|| "/revoked/".to_owned());
    Some(EtcdSettings { endpoints, prefix, user, trusted })
}
