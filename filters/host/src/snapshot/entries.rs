//! From an entry of a shard to a value: the one place where it is decided that an entry cannot be read.

use serde::de::DeserializeOwned;
use tollgate_enforce::{CompiledApi, CompiledIssuer, CompiledPolicy};
use tollgate_model::wire::{Entry, Shard};
use tollgate_model::{Api, DenyCondition, Issuer, SCHEMA, Settings, Table};

/// Why an entry is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Table and key.
    pub(super) entry: String,
    /// What is wrong.
    pub(super) why: String,
}

/// Reads the value of an entry.
pub(super) fn read<T: DeserializeOwned>(table: Table, entry: &Entry) -> Result<T, Problem> {
    understood(table, entry)?;
    serde_json::from_slice(entry.value)
        .map_err(|error| Problem { entry: name(table, entry.key), why: error.to_string() })
}

fn understood(table: Table, entry: &Entry) -> Result<(), Problem> {
    if entry.needs <= SCHEMA {
        return Ok(());
    }
    let why = format!("needs schema {}, this filter knows {SCHEMA}", entry.needs);
    Err(Problem { entry: name(table, entry.key), why })
}

/// Reads and compiles an API.
pub(super) fn api(entry: &Entry) -> Result<CompiledApi, Problem> {
    let api: Api = read(Table::Api, entry)?;
    CompiledApi::compile(api).map_err(|invalid| Problem { entry: name(Table::Api, entry.key), why: invalid.0 })
}

/// Reads and compiles an issuer. Keys of it that are of no use are problems, though the issuer is not.
pub(super) fn issuer(entry: &Entry) -> Result<(CompiledIssuer, Vec<Problem>), Problem> {
    let issuer: Issuer = read(Table::Issuer, entry)?;
    let (compiled, left_out) = CompiledIssuer::compile(issuer);
    let problem = |key: tollgate_enforce::token::JwkError| Problem {
        entry: format!("{} key {:?}", name(Table::Issuer, entry.key), key.key),
        why: key.why.to_owned(),
    };
    Ok((compiled, left_out.into_iter().map(problem).collect()))
}

/// Everything in a shard that will be denied.
pub(super) fn problems(shard: &Shard) -> Vec<Problem> {
    let table = shard.slot.table;
    let judge = |entry: &Entry| match table {
        Table::Settings => read::<Settings>(table, entry).err(),
        Table::Issuer => issuer(entry).err(),
        Table::Api => api(entry).err(),
        Table::VirtualHost => None,
        Table::Route => read::<String>(table, entry).err(),
        Table::Throttle if tollgate_model::keys::is_deny(entry.key) => read::<DenyCondition>(table, entry).err(),
        Table::Throttle => read::<CompiledPolicy>(table, entry).err(),
        // There may be hundreds of thousands; the one who reads one finds out about the rest.
        Table::Tier
        | Table::Application
        | Table::Credential
        | Table::Subscription
        | Table::Cutoff
        | Table::Revoked
        | Table::Decision => understood(table, entry).err(),
    };
    shard.entries.iter().filter_map(judge).collect()
}

fn name(table: Table, key: &[u8]) -> String {
    format!("{} {:?}", table.name(), String::from_utf8_lossy(key).replace('\0', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_future_are_refused() {
        let entry = |needs, value| Entry { needs, key: b"localhost\0/a", value };
        assert_eq!(read::<String>(Table::Route, &entry(1, br#""id""#)), Ok("id".to_owned()));
        let why = |entry| read::<String>(Table::Route, &entry).unwrap_err().why;
        assert_eq!(
            why(entry(SCHEMA + 1, br#""id""#)),
            format!("needs schema {}, this filter knows {SCHEMA}", SCHEMA + 1)
        );
        assert!(why(entry(1, b"{}")).contains("invalid type"));
    }
}
