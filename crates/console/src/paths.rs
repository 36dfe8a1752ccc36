//! The addresses of the pages: links are made here and nowhere else.

use std::fmt::Display;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What must not stand bare in a part of a path or query.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

fn part(text: impl Display) -> String {
    utf8_percent_encode(&text.to_string(), RESERVED).to_string()
}

/// Where a session begins; `next` is where it leads to then.
pub(crate) fn login(next: &str) -> String {
    if next == "/" { "/login".to_owned() } else { format!("/login?next={}", part(next)) }
}

/// A link that begins a session, once.
pub(crate) fn login_link(link: impl Display) -> String {
    format!("/login/{}", part(link))
}

/// A project's place on the loop, or one of its lists (`datasets`, `runs`, …).
pub(crate) fn section(project: impl Display, section: &str) -> String {
    if section.is_empty() { format!("/p/{}", part(project)) } else { format!("/p/{}/{section}", part(project)) }
}

/// One thing of a list.
pub(crate) fn item(project: impl Display, list: &str, name: impl Display) -> String {
    format!("/p/{}/{list}/{}", part(project), part(name))
}

/// An endpoint on the page of its project's endpoints.
pub(crate) fn endpoint(project: impl Display, name: impl Display) -> String {
    format!("{}#{}", section(project, "endpoints"), endpoint_anchor(name))
}

/// The id of an endpoint's section on that page.
pub(crate) fn endpoint_anchor(name: impl Display) -> String {
    format!("endpoint-{}", part(name))
}

/// The lineage of an entity.
pub(crate) fn explain(project: impl Display, kind: &str, id: impl Display) -> String {
    format!("/p/{}/explain/{kind}/{}", part(project), part(id))
}

/// A picture of evidence.
pub(crate) fn plot(project: impl Display, evidence: impl Display, name: impl Display) -> String {
    format!("/p/{}/evidence/{}/plots/{}", part(project), part(evidence), part(name))
}
