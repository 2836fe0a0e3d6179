//! Adds a login key to a workspace's source, leaving its comments and layout as they are. It must
//! never let a private key out: only `kid` and `x` of a JWK are taken.

use std::path::Path;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use serde::Deserialize;
use serde_json::json;

use crate::problem::{Outcome, Problem};

/// A JSON Web Key (RFC 8037, section 2). The private half, `d`, is never read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    kid: Option<String>,
}

/// The source with the key of a JWK file in `identity.loginKeys`. Errors: `bad_login_key`.
pub fn add(source: &str, path: &Path) -> Outcome<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Problem::file(path, &error))?;
    let bad = |message: &str| Problem::new("bad_login_key", message).at(path.display().to_string());
    let jwk: Jwk =
        serde_json::from_str(&text).map_err(|_| bad("this file holds no JWK of a login key"))?;
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
        return Err(bad("a login key is an Ed25519 key: `kty` is `OKP`, `crv` is `Ed25519`"));
    }
    let kid = jwk.kid.ok_or_else(|| bad("this key has no `kid`, which tokens name it by"))?;
    insert(source, &kid, &jwk.x)
        .ok_or_else(|| bad("the key cannot be added: the workspace's `identity` is no object"))
}

/// None where the source has another shape; the compiler says what is wrong with it.
fn insert(source: &str, kid: &str, public_key: &str) -> Option<String> {
    let options = jsonc_parser::ParseOptions::default();
    let tree = jsonc_parser::parse_to_ast(source, &Default::default(), &options).ok()?.value?;
    let root = tree.as_object()?;
    let key = json!({ "kid": kid, "alg": "EdDSA", "publicKey": public_key }).to_string();
    let (at, text) = match root.get("identity").map(|field| &field.value) {
        None => (first(root), format!("\"identity\":{{\"loginKeys\":[{key}]}}{}", comma(root))),
        Some(Value::Object(identity)) => {
            match identity.get("loginKeys").map(|field| &field.value) {
                None => (first(identity), format!("\"loginKeys\":[{key}]{}", comma(identity))),
                Some(Value::Array(keys)) => {
                    let same = |known: &Value<'_>| is_key(known, kid, public_key);
                    if keys.elements.iter().any(same) {
                        return Some(source.to_owned());
                    }
                    let comma = if keys.elements.is_empty() { "" } else { "," };
                    (keys.range().start.checked_add(1)?, format!("{key}{comma}"))
                }
                Some(_) => return None,
            }
        }
        Some(_) => return None,
    };
    let (head, tail) = source.split_at_checked(at)?;
    Some(format!("{head}{text}{tail}"))
}

/// Behind the opening brace.
fn first(object: &Object<'_>) -> usize {
    object.range().start.saturating_add(1)
}

fn comma(object: &Object<'_>) -> &'static str {
    if object.properties.is_empty() { "" } else { "," }
}

fn is_key(known: &Value<'_>, kid: &str, public_key: &str) -> bool {
    known.as_object().is_some_and(|object| {
        let is = |name, value| object.get_string(name).is_some_and(|text| text.value == value);
        is("kid", kid) && is("publicKey", public_key)
    })
}

#[cfg(test)]
mod tests {
    use super::insert;

    #[test]
    fn the_key_is_added_and_the_rest_stays() {
        let key = r#"{"alg":"EdDSA","kid":"k","publicKey":"x"}"#;
        for (source, expected) in [
            ("{}", format!(r#"{{"identity":{{"loginKeys":[{key}]}}}}"#)),
            (
                "{ // mine\n  \"format\": 1, }",
                format!("{{\"identity\":{{\"loginKeys\":[{key}]}}, // mine\n  \"format\": 1, }}"),
            ),
            (r#"{"identity":{}}"#, format!(r#"{{"identity":{{"loginKeys":[{key}]}}}}"#)),
            (
                r#"{"identity":{"blocked":[]}}"#,
                format!(r#"{{"identity":{{"loginKeys":[{key}],"blocked":[]}}}}"#),
            ),
            (
                r#"{"identity":{"loginKeys":[ {"kid":"old"} ]}}"#,
                format!(r#"{{"identity":{{"loginKeys":[{key}, {{"kid":"old"}} ]}}}}"#),
            ),
        ] {
            let added = insert(source, "k", "x");
            assert_eq!(added.as_deref(), Some(expected.as_str()));
            assert_eq!(insert(&expected, "k", "x").as_deref(), Some(expected.as_str()));
        }
        assert_eq!(insert("[]", "k", "x"), None);
        assert_eq!(insert(r#"{"identity":{"loginKeys":7}}"#, "k", "x"), None);
    }
}
