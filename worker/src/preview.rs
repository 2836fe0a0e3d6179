//! Previews: a sealed, short-lived link that lets whoever opens it see the site with variants of
//! the marketer's choice. It must never be made without the admin's key, and a browser in a preview
//! reports nothing: no exposure, no contact, no assignment comes of it.
//!
//! The link leads to our own route, which turns its token into a cookie and goes on to the page, so
//! that the token stands in no address of the site, no log of the origin and no `Referer`.

use std::collections::BTreeMap;

use selvedge::limits;
use selvedge::time::Timestamp;
use selvedge::workspace::Workspace;
use serde::{Deserialize, Serialize};
use serde_json::json;
use worker::Env;

use crate::cookie::{self, Preview};
use crate::http::{self, Answer, Fault, Request, header};
use crate::published;
use crate::settings::Settings;

/// Bytes of the path that a link leads to.
const PATH_BYTES: usize = 1_024;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Experiments and the variants to show of them.
    variants: BTreeMap<String, String>,
    /// Where the link leads.
    #[serde(default)]
    to: Option<String>,
}

/// `POST /admin/v1/preview`: a link for a browser. Errors: those of [`indices`], `bad_path`,
/// `too_many_variants`.
pub async fn make(
    request: &mut Request,
    env: &Env,
    settings: &Settings,
    now: Timestamp,
) -> Result<Answer, Fault> {
    let asked: Asked = http::call(request, limits::CALL_BYTES).await?;
    let workspace = published::current(env, &settings.tenant, now).await?;
    indices(&workspace, &asked.variants)?;
    let to = asked.to.as_deref().unwrap_or("/");
    if !is_path(to) {
        let message =
            format!("a path on this site begins with one `/`, at most {PATH_BYTES} bytes");
        return Err(Fault::new(400, "bad_path", message, "to"));
    }
    let expires = now.plus_ms(limits::PREVIEW_MS);
    let token = settings.cookies.seal_preview(&Preview { expires, variants: asked.variants });
    let Some(token) = token else { return Err(too_many()) };
    let mut query =
        worker::Url::parse("https://link.invalid/").map_err(|_| Fault::unavailable())?;
    query.query_pairs_mut().append_pair("token", &token).append_pair("to", to);
    let query = query.query().unwrap_or_default();
    Answer::json(&json!({
        "token": token,
        "expires": selvedge::json::time_text(expires),
        "link": format!("/_selvedge/preview?{query}"),
    }))
}

fn too_many() -> Fault {
    Fault::new(400, "too_many_variants", "a preview holds fewer variants than these", "variants")
}

/// `GET /preview?token=&to=`: begins a preview in this browser; without a token it ends there.
/// Errors: `bad_preview`, `bad_path`.
pub fn enter(request: &Request, settings: &Settings, now: Timestamp) -> Result<Answer, Fault> {
    let url = request.url();
    let find = |wanted: &str| {
        let found = url.query_pairs().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    };
    let to = find("to").unwrap_or_else(|| "/".to_owned());
    if !is_path(&to) {
        return Err(Fault::new(400, "bad_path", "a preview leads to a path on this site", "to"));
    }
    let line = match find("token") {
        None => cookie::preview_expiry(),
        Some(token) => match settings.cookies.open_preview(&token, now) {
            Some(preview) => cookie::preview_line(&token, preview.expires.since_ms(now)),
            None => {
                let message = "this preview is over, or its link is not whole: ask for a new one";
                return Err(Fault::new(400, "bad_preview", message, "token"));
            }
        },
    };
    let mut answer = Answer::json(&json!({ "to": to }))?.with("location", to);
    answer.status = 303;
    Ok(answer.with("referrer-policy", "no-referrer").with_cookie(Some(line)))
}

/// The variants that a request's preview forces; None where it is no preview.
pub fn forced(
    request: &Request,
    settings: &Settings,
    workspace: &Workspace,
    now: Timestamp,
) -> Option<Vec<(u16, u16)>> {
    let cookies = header(request, "cookie")?;
    let preview = settings.cookies.open_preview(cookie::find_preview(&cookies)?, now)?;
    // A workspace that was published since may not have them all any more.
    let known = preview.variants.iter().filter_map(|(name, variant)| {
        let at = workspace.experiment_at(name)?;
        Some((at, workspace.experiment(at)?.variant_at(variant)?))
    });
    Some(known.collect())
}

/// Experiments and variants by index. Errors: `unknown_experiment`, `unknown_variant`,
/// `too_many_variants`.
pub fn indices(
    workspace: &Workspace,
    variants: &BTreeMap<String, String>,
) -> Result<Vec<(u16, u16)>, Fault> {
    if variants.len() > limits::PREVIEW_VARIANTS {
        return Err(too_many());
    }
    let unknown = |code, what: &str, name: &str| {
        let message = format!("the workspace has no {what} of this name");
        Fault::new(400, code, message, &format!("variants.{name}"))
    };
    let find = |(name, variant): (&String, &String)| {
        let at = workspace
            .experiment_at(name)
            .ok_or_else(|| unknown("unknown_experiment", "experiment", name))?;
        let variant = workspace
            .experiment(at)
            .and_then(|experiment| experiment.variant_at(variant))
            .ok_or_else(|| unknown("unknown_variant", "variant of that experiment", name))?;
        Ok((at, variant))
    };
    variants.iter().map(find).collect()
}

/// A path on this site, whoever reads it: no host, no scheme, nothing that a browser repairs.
fn is_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= PATH_BYTES
        && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn a_preview_leads_nowhere_else() {
        for good in ["/", "/shop/?a=b#c", "/%20"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "shop", "//evil", "/\\evil", "https://evil", "/a b", "/\r\nx: y", "/ä"] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
