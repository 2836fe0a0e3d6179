//! Offers and the tag's entry as HTML text. Everything that is not ours is escaped for where it
//! lands. It must never know how a page is rewritten.

use selvedge::decide::Decision;
use selvedge::offer::FieldKind;

use crate::assets;

/// What a page's policy lets its scripts do (CSP Level 3, section 6.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Inline scripts are forbidden.
    pub no_inline: bool,
    /// The nonce that scripts of this page carry.
    pub nonce: Option<String>,
}

impl Policy {
    /// What a `Content-Security-Policy` header says; several policies all hold.
    pub fn of(header: Option<&str>) -> Self {
        let mut policy = Self::default();
        for one in header.unwrap_or_default().split(',') {
            let sources = ["script-src-elem", "script-src", "default-src"]
                .iter()
                .find_map(|wanted| directive(one, wanted));
            let Some(sources) = sources else { continue };
            let strict = sources.contains("'nonce-") || sources.contains("'sha");
            let unsafe_inline = sources.contains("'unsafe-inline'") && !strict;
            let nonce = sources.split_ascii_whitespace().find_map(|source| {
                source.strip_prefix("'nonce-")?.strip_suffix('\'').map(str::to_owned)
            });
            policy.no_inline |= !unsafe_inline && nonce.is_none();
            policy.nonce = policy.nonce.or(nonce);
        }
        policy
    }
}

fn directive<'p>(policy: &'p str, wanted: &str) -> Option<&'p str> {
    policy.split(';').find_map(|part| {
        let part = part.trim();
        let (name, sources) = part.split_once(' ').unwrap_or((part, ""));
        name.eq_ignore_ascii_case(wanted).then_some(sources)
    })
}

/// Text for between tags and within quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(sign),
        }
    }
    out
}

/// Whether an address may stand in a link: a path of this site, or https.
pub fn is_safe_link(address: &str) -> bool {
    let plain = address.bytes().all(|byte| byte > b' ' && byte != 0x7f && byte != b'\\');
    let here = address.starts_with('/') && !address.starts_with("//");
    let there = address.strip_prefix("https://").is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !host.contains('@')
    });
    plain && (here || there)
}

/// The inner HTML of a placement, in the form that the tag makes too (`js/src/state.ts`). None
/// where the content is empty: the fallback stays.
pub fn offer(decision: &Decision) -> Option<String> {
    let mut inner = String::new();
    for field in &decision.content {
        let tag = if field.name == "headline" { "strong" } else { "span" };
        let class = class(&field.name);
        let text = escape(&field.text);
        match field.kind {
            FieldKind::Text => inner.push_str(&format!("<{tag}{class}>{text}</{tag}>")),
            FieldKind::Image if is_safe_link(&field.text) => {
                inner.push_str(&format!("<img{class} alt=\"\" src=\"{text}\">"));
            }
            FieldKind::Image | FieldKind::Link => {}
        }
    }
    if inner.is_empty() {
        return None;
    }
    let link = decision.content.iter().find(|field| field.kind == FieldKind::Link);
    Some(match link.filter(|link| is_safe_link(&link.text)) {
        Some(link) => {
            let href = escape(&link.text);
            format!("<a class=\"selvedge-offer\" href=\"{href}\">{inner}</a>")
        }
        None => format!("<div class=\"selvedge-offer\">{inner}</div>"),
    })
}

/// The class of a field; a name that is no word of a class gets none.
fn class(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return String::new();
    }
    format!(" class=\"selvedge-{name}\"")
}

/// What goes to the end of `<head>`: the queue, the page's state, the tag.
pub fn entry(state: &str, policy: &Policy) -> String {
    let nonce = policy.nonce.as_deref().map(|nonce| format!(" nonce=\"{}\"", escape(nonce)));
    let nonce = nonce.unwrap_or_default();
    let mut out = String::new();
    if !policy.no_inline && !assets::STUB_JS.is_empty() {
        out.push_str(&format!("<script{nonce}>{}</script>", assets::STUB_JS.trim_end()));
    }
    out.push_str(&format!(
        "<script type=\"application/json\" id=\"selvedge-state\">{state}</script>"
    ));
    let integrity = assets::TAG_INTEGRITY;
    out.push_str(&format!(
        "<script async{nonce} src=\"/_selvedge/tag.js\" integrity=\"{integrity}\"></script>"
    ));
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use selvedge::decide::ContentField;

    fn decision(fields: &[(&str, FieldKind, &str)]) -> Decision {
        let content = fields.iter().map(|(name, kind, text)| ContentField {
            name: (*name).to_owned(),
            kind: *kind,
            text: (*text).to_owned(),
        });
        Decision {
            placement: "hero".into(),
            offer: Some("o".into()),
            variant: None,
            reason: "won".into(),
            decision: "d".into(),
            content: content.collect(),
            language: "en".into(),
            workspace: "w".into(),
            exposures: Vec::new(),
            trace: Vec::new(),
        }
    }

    #[test]
    fn values_of_a_visitor_stay_text() {
        let html = offer(&decision(&[
            ("headline", FieldKind::Text, "<img src=x onerror=alert(1)>"),
            ("href", FieldKind::Link, "/a?b=\"><script>"),
        ]));
        let html = html.unwrap();
        assert!(!html.contains("<img"), "{html}");
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
    }

    #[test]
    fn only_paths_and_https_are_links() {
        for safe in ["/", "/basket/?a=1#b", "https://shop.example/x"] {
            assert!(is_safe_link(safe), "{safe}");
        }
        for unsafe_link in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/\\evil.example",
            "http://shop.example",
            "https://",
            "https://a@evil.example",
            "",
            "java\nscript:alert(1)",
            " /x",
            "vbscript:x",
            "https:/\\evil.example",
        ] {
            assert!(!is_safe_link(unsafe_link), "{unsafe_link}");
        }
    }

    #[test]
    fn an_unsafe_link_or_image_is_left_out() {
        let html = offer(&decision(&[
            ("headline", FieldKind::Text, "Hello"),
            ("picture", FieldKind::Image, "javascript:alert(1)"),
            ("href", FieldKind::Link, "javascript:alert(1)"),
        ]));
        let wanted = "<div class=\"selvedge-offer\">\
                      <strong class=\"selvedge-headline\">Hello</strong></div>";
        assert_eq!(html.as_deref(), Some(wanted));
        assert_eq!(offer(&decision(&[])), None);
    }

    #[test]
    fn fields_stand_in_the_order_of_the_offer() {
        let html = offer(&decision(&[
            ("picture", FieldKind::Image, "/a.png"),
            ("headline", FieldKind::Text, "A & B"),
            ("a b", FieldKind::Text, "no class"),
            ("href", FieldKind::Link, "/basket/"),
        ]));
        let wanted = "<a class=\"selvedge-offer\" href=\"/basket/\">\
                      <img class=\"selvedge-picture\" alt=\"\" src=\"/a.png\">\
                      <strong class=\"selvedge-headline\">A &amp; B</strong>\
                      <span>no class</span></a>";
        assert_eq!(html.as_deref(), Some(wanted));
    }

    #[test]
    fn a_policy_says_whether_inline_scripts_run() {
        let of = |text| Policy::of(Some(text));
        assert_eq!(Policy::of(None), Policy::default());
        assert!(of("default-src 'self'").no_inline);
        assert!(of("script-src 'self'").no_inline);
        assert!(!of("script-src 'self' 'unsafe-inline'").no_inline);
        assert!(!of("img-src 'self'").no_inline);
        let nonce = of("script-src 'nonce-abc' 'strict-dynamic' 'unsafe-inline'");
        assert_eq!(nonce, Policy { no_inline: false, nonce: Some("abc".into()) });
        assert!(of("script-src 'sha256-x' 'unsafe-inline'").no_inline);
    }
}
