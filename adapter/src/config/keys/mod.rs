//! The table of keys: every key of Choreo Connect's files and of our own, what it means, and what becomes of it. Warnings about
//! unknown keys, the reference in docs/configuration.md and the default file are all made of it; tests hold it against what
//! the code reads. Must never hold a value that anybody configured.

mod adapter;
mod control;
mod default_file;
mod enforcer;
mod logs;
#[cfg(test)]
mod reference;
mod router;
mod tollgate;

pub use default_file::default_file;
pub use logs::LOGS;

use tollgate_project::did_you_mean;

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path as it is written; `[]` after the name of a list, and `*` as the last name for names that users choose.
    pub path: &'static str,
    /// What counts when it is absent.
    pub absent: Absent,
    /// What it means, or why it means nothing.
    pub meaning: &'static str,
    /// What becomes of it.
    pub status: Status,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// Whether it is an addition to Choreo Connect.
    pub added: bool,
}

/// What counts when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// This value, as TOML.
    Value(&'static str),
    /// Something that no value says.
    Otherwise(&'static str),
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is read.
    Read,
    /// It has no meaning in this gateway. A value other than the usual one is warned of.
    Idle,
    /// It belongs to a switch that can only be off, so it is of no interest.
    Behind(&'static str),
    /// It can only be off (a list: empty); the text says what to do instead.
    Off(&'static str),
    /// It can only have its usual value; the text says what to do instead.
    Fixed(&'static str),
}

/// An older name of a key, or of a table with all that is in it.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    /// The older name.
    pub old: &'static str,
    /// The name that counts.
    pub new: &'static str,
}

/// All keys of one kind of file.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its sections, in the order of the documentation.
    pub sections: &'static [Section],
    /// Older names.
    pub aliases: &'static [Alias],
    /// What environment variables that override keys begin with; none if there are no such variables.
    pub overriding: Option<&'static str>,
    /// Sections that environment variables do not override.
    pub fixed: &'static [&'static str],
}

/// The keys of one table at the top of a file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// The keys of config.toml.
pub const CONFIG: Schema = Schema {
    sections: &[
        adapter::SECTION,
        router::SECTION,
        enforcer::SECTION,
        router::TRACING,
        control::CONTROL_PLANE,
        control::GLOBAL_ADAPTER,
        control::ANALYTICS,
        tollgate::SECTION,
    ],
    aliases: &[
        alias("adapter.consul.enable", "adapter.consul.enabled"),
        alias("controlPlane.serviceUrl", "controlPlane.serviceURL"),
        alias("enforcer.jwtGenerator.enable", "enforcer.jwtGenerator.enabled"),
        alias("enforcer.restserver.enable", "enforcer.restserver.enabled"),
        alias("enforcer.throttling.jmsConnectionProviderUrl", "enforcer.throttling.jmsConnectionProviderURL"),
        alias("enforcer.throttling.publisher.urlGroup", "enforcer.throttling.publisher.URLGroup"),
        alias("globalAdapter.overwriteHostName", "globalAdapter.overrideHostName"),
        alias("globalAdapter.serviceUrl", "globalAdapter.serviceURL"),
        // The original's own file documents this table, although the original does not read it.
        alias("router.connectionTimeout", "router.connection.timeouts"),
    ],
    overriding: Some("CC_"),
    fixed: &["tracing"],
};

impl Schema {
    /// All keys, in the order of the documentation.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.sections.iter().flat_map(|section| section.keys)
    }

    /// The key that a path means, whatever its case and its indices.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&'static Key> {
        let wanted = pattern(&path.to_lowercase());
        self.keys().find(|key| {
            let known = key.path.to_lowercase();
            match known.strip_suffix('*') {
                Some(table) => wanted.strip_prefix(table).is_some_and(|name| !name.is_empty()),
                None => known == wanted,
            }
        })
    }

    /// What an unknown key may have been meant for.
    #[must_use]
    pub fn suggest(&self, path: &str) -> Option<String> {
        let wanted = pattern(&path.to_lowercase());
        let known: Vec<(String, &Key)> = self.keys().map(|key| (key.path.to_lowercase(), key)).collect();
        let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let table = |path: &str| path.rsplit_once('.').map(|(table, _)| table.to_owned()).unwrap_or_default();
        // A wrong name in the right table, then the right name in a wrong table, then anything alike.
        let close = |candidates: Vec<&(String, &'static Key)>, word: &str, of: &dyn Fn(&str) -> String| {
            let names: Vec<String> = candidates.iter().map(|(path, _)| of(path)).collect();
            let found = did_you_mean(word, names.iter().map(String::as_str))?;
            candidates.iter().find(|(path, _)| of(path) == found).map(|(_, key)| key.path.to_owned())
        };
        let siblings = known.iter().filter(|(path, _)| table(path) == table(&wanted)).collect();
        let mut namesakes = known.iter().filter(|(path, _)| name(path) == name(&wanted));
        close(siblings, &name(&wanted), &name)
            .or_else(|| match (namesakes.next(), namesakes.next()) {
                (Some((_, key)), None) => Some(key.path.to_owned()),
                _ => None,
            })
            .or_else(|| close(known.iter().collect(), &wanted, &str::to_owned))
    }

    /// The environment variable that overrides a key.
    #[must_use]
    pub fn variable(&self, key: &str) -> Option<String> {
        let prefix = self.overriding?;
        let section = key.split('.').next().unwrap_or_default();
        let fixed = self.fixed.iter().any(|fixed| fixed.eq_ignore_ascii_case(section));
        (!fixed).then(|| format!("{prefix}{}", key.to_uppercase().replace('.', "_")))
    }
}

/// A path with `[]` in the place of indices: `a.0.b` is `a[].b`.
#[must_use]
pub fn pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for name in path.split('.') {
        let is_index = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_index && !pattern.is_empty() {
            pattern.push_str("[]");
            continue;
        }
        if !pattern.is_empty() {
            pattern.push('.');
        }
        pattern.push_str(name);
    }
    pattern
}

const fn alias(old: &'static str, new: &'static str) -> Alias {
    Alias { old, new }
}

/// A key that is read.
const fn read(path: &'static str, value: &'static str, meaning: &'static str) -> Key {
    key(path, Absent::Value(value), meaning, Status::Read)
}

/// A key that is read, and whose absence means something that no value says.
const fn unset(path: &'static str, otherwise: &'static str, meaning: &'static str) -> Key {
    key(path, Absent::Otherwise(otherwise), meaning, Status::Read)
}

/// A key without a meaning here.
const fn idle(path: &'static str, usual: &'static str, why: &'static str) -> Key {
    key(path, Absent::Value(usual), why, Status::Idle)
}

/// A key of something that can only be off.
const fn behind(path: &'static str, switch: &'static str) -> Key {
    key(path, Absent::Otherwise(""), "", Status::Behind(switch))
}

/// A switch that can only be off.
const fn off(path: &'static str, meaning: &'static str, instead: &'static str) -> Key {
    key(path, Absent::Value("false"), meaning, Status::Off(instead))
}

/// A key that can only have its usual value.
const fn fixed(path: &'static str, usual: &'static str, meaning: &'static str, instead: &'static str) -> Key {
    key(path, Absent::Value(usual), meaning, Status::Fixed(instead))
}

const fn key(path: &'static str, absent: Absent, meaning: &'static str, status: Status) -> Key {
    Key { path, absent, meaning, status, secret: false, added: false }
}

impl Key {
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn added(self) -> Self {
        Self { added: true, ..self }
    }
}

#[cfg(test)]
mod effect_tests;
#[cfg(test)]
mod tests;
