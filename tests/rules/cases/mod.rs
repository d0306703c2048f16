//! The corpus: every component and what must become of it.

mod answers;
mod bytes;
mod exports;
mod shapes;

/// What must become of a component.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// It is not accepted at all.
    Refused,
    /// It is accepted and fails when it is used.
    Failed,
    /// One or the other.
    Stopped,
    /// It works.
    Answered,
    /// Whatever it is, the host stands.
    Harmless,
}

pub(crate) struct Case {
    pub class: &'static str,
    pub name: String,
    pub component: Vec<u8>,
    pub expect: Expect,
    /// Compiled as the daemon does it: in a process of its own that is stopped in time.
    pub in_child: bool,
}

impl Case {
    fn new(class: &'static str, name: impl ToString, component: Vec<u8>, expect: Expect) -> Self {
        Self { class, name: name.to_string(), component, expect, in_child: false }
    }

    fn in_child(self) -> Self {
        Self { in_child: true, ..self }
    }
}

pub(crate) fn all() -> impl Iterator<Item = Case> {
    bytes::truncated()
        .into_iter()
        .chain(bytes::flipped())
        .chain(bytes::own_sections())
        .chain(shapes::wrong_exports())
        .chain(shapes::wrong_types())
        .chain(shapes::huge_types())
        .chain(shapes::imports())
        .chain(shapes::deep())
        .chain(shapes::slow_to_compile())
        .chain(exports::misbehaving())
        .chain(exports::at_start())
        .chain(answers::inconsistent())
}
