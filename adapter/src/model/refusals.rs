//! Where inputs report what they could not take. Must never influence what happens: reporting is all.

use super::Problems;

/// Takes note of refused things that stay as they are until somebody repairs them.
pub trait Refusals: Send + Sync {
    /// Something (a file, a stored deployment) was refused.
    fn refuse(&self, origin: &str, problems: &Problems);
    /// It is good now, or gone.
    fn accept(&self, origin: &str);
}
