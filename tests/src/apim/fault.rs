//! What can go wrong with the REST interface of API Manager, on request.

/// What happens instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status, with a body of text.
    Status(u16),
    /// Nothing, for ever.
    Hang,
    /// The right length is announced, and half of it sent.
    Half,
    /// 200 with something that is neither JSON nor a ZIP.
    Nonsense,
    /// 200 with JSON of another form.
    OtherForm,
    /// The right archive, without the files it names. Other resources are not touched.
    FileMissing,
}

/// Which requests have a fault, and for how often.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(String, Fault, usize)>);

impl Faults {
    /// `resource` is the end of a path; all of them when empty.
    pub(super) fn add(&mut self, resource: &str, fault: Fault, times: usize) {
        self.0.push((resource.to_owned(), fault, times));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of a request to this path, which is used up by it.
    pub(super) fn take(&mut self, path: &str) -> Option<Fault> {
        let (_, fault, left) = self.0.iter_mut().find(|(resource, _, left)| path.ends_with(resource) && *left > 0)?;
        *left = left.saturating_sub(1);
        Some(*fault)
    }
}
