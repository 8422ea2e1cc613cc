//! From a path to a resource: readings of a path, templates, and the order in which templates are tried.

mod reading;
mod table;
mod template;

pub use reading::{Reading, is_plain, lenient};
pub use table::{CompiledResource, Found, ResourceTable};
pub use template::{Captures, Template};
