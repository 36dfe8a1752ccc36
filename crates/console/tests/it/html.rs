//! Whether a page is well-formed, and carries what every page must.

use perennial_core::control_characters;

/// Elements without an end.
const VOID: [&str; 5] = ["meta", "link", "input", "img", "br"];

/// Panics with the place at fault unless tags nest, ids are unique and each labelled thing has a label.
pub(crate) fn check(page: &str, html: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let mut headings = 0;
    for tag in tags(page, html) {
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop().unwrap_or_default();
            assert_eq!(last, name.trim(), "{page}: </{name}> closes <{last}>");
            continue;
        }
        let name = tag.split([' ', '\n', '/']).next().unwrap_or_default().to_owned();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{page}: `<{tag}>` is not a tag");
        headings += usize::from(name == "h1");
        assert!(name != "script" && name != "style" && name != "iframe", "{page}: <{name}> is in the page");
        for (key, value) in attributes(page, &tag) {
            assert!(key != "style" && !key.starts_with("on"), "{page}: `{key}` in <{tag}>");
            if key == "id" {
                assert!(!ids.contains(&value), "{page}: the id `{value}` stands twice");
                ids.push(value.clone());
            }
            if key == "href" || key == "action" || key == "src" {
                assert!(
                    value.starts_with('/') || value.starts_with('?') || value.starts_with('#'),
                    "{page}: `{value}` leads elsewhere"
                );
            }
        }
        if name == "img" {
            assert!(tag.contains(" alt=\""), "{page}: a picture without words");
        }
        if !VOID.contains(&name.as_str()) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{page}: {open:?} stay open");
    assert!(!html.contains("&#60;span class=&#34;"), "{page}: markup of the page itself is escaped");
    assert!(!html.contains(control_characters::is_control), "{page}: a control character");
    assert_eq!(headings, 1, "{page}: {headings} h1");
    labels(page, html);
    forms(page, html);
}

/// Each visible field has a label.
fn labels(page: &str, html: &str) {
    for field in html.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
        if field.contains("type=\"hidden\"") {
            continue;
        }
        let id = field.split("id=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        assert!(html.contains(&format!("<label for=\"{id}\">")), "{page}: the field `{id}` has no label");
    }
}

/// Each form that posts carries a token, but the one that begins a session.
fn forms(page: &str, html: &str) {
    for form in html.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap_or_default()) {
        let carries = form.split("name=\"csrf_token\" value=\"").nth(1).is_some_and(|rest| !rest.starts_with('"'));
        if form.contains("method=\"post\"") && !form.contains("action=\"/login") {
            assert!(carries, "{page}: a form without token: {form}");
        } else {
            assert!(!carries, "{page}: a token where it does not belong: {form}");
        }
    }
}

/// The inside of every tag, in order.
fn tags(page: &str, html: &str) -> Vec<String> {
    let html = html.strip_prefix("<!doctype html>").unwrap_or_else(|| panic!("{page}: no doctype"));
    let mut tags = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("{page}: `<{part}` does not end"));
        assert!(!text.contains('>'), "{page}: a bare > after <{tag}>");
        tags.push(tag.to_owned());
    }
    tags
}

fn attributes(page: &str, tag: &str) -> Vec<(String, String)> {
    let mut rest = tag.split_once([' ', '\n']).map(|(_, rest)| rest).unwrap_or_default().trim_end_matches('/').trim();
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        let bare = rest.find([' ', '\n']).unwrap_or(rest.len());
        if let Some(equals) = rest.find("=\"").filter(|equals| *equals < bare) {
            let after = &rest[equals + 2..];
            let end = after.find('"').unwrap_or_else(|| panic!("{page}: an attribute of <{tag}> does not end"));
            attributes.push((rest[..equals].to_owned(), after[..end].to_owned()));
            rest = after[end + 1..].trim_start();
        } else {
            attributes.push((rest[..bare].to_owned(), String::new()));
            rest = rest[bare..].trim_start();
        }
    }
    attributes
}

#[test]
fn what_does_not_nest_is_found() {
    let page = |body: &str| format!("<!doctype html><main><h1>a</h1>{body}</main>");
    check("good", &page("<p class=\"a\">b<br></p>"));
    for bad in [
        "<p>",
        "<p><b></p></b>",
        "<p onclick=\"x\"></p>",
        "<script></script>",
        "<p id=\"a\"></p><p id=\"a\"></p>",
        "<form method=\"post\"></form>",
        "<input id=\"x\">",
    ] {
        assert!(std::panic::catch_unwind(|| check("bad", &page(bad))).is_err(), "{bad} passes");
    }
}
