//! How APIs arrive: over REST ([`apictl`]) and from a directory ([`folder`]), as projects that [`project`] reads and
//! [`catalog`] keeps. Must never import `outputs`.

pub mod apictl;
pub mod catalog;
pub mod folder;
pub mod project;
