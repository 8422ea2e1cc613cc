//! The mechanics of rate limits: plans, conditions, counters, and keys that an administrator made up. Which of them a request
//! is held to is for the stage `limit` to say.

pub(crate) mod charge;
pub(crate) mod conditions;
mod decided;
pub(crate) mod fields;
mod plan;
pub(crate) mod template;

pub use conditions::check_pattern;
pub use decided::CompiledDecisions;
pub(crate) use plan::burst;
pub use plan::{CompiledPolicy, CompiledTier, Throttle};
