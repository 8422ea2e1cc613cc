//! How APIs arrive: API projects, read by [`project`]. Must never import `outputs`.

pub mod apictl;
pub mod catalog;
pub mod project;
