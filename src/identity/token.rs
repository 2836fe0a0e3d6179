//! Login tokens: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037). One algorithm per key,
//! so that a token cannot choose how it is checked. It must never take a claim from a token whose
//! signature, audience or times do not hold.

use alloc::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;

use super::{Identifier, IdentifierKind};
use crate::error::Error;
use crate::limits;
use crate::rule::Value;
use crate::time::Timestamp;
use crate::workspace::IdentitySettings;

/// What a token proved. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    identifiers: Vec<Identifier>,
    jti: String,
    expires: Timestamp,
}

impl Verified {
    /// The proved identifiers, the strongest first; never empty.
    pub fn identifiers(&self) -> &[Identifier] {
        &self.identifiers
    }

    /// The token's id, to be used once.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// When the token ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Traits that the token carries; a verified e-mail address is an identifier, not a trait.
    pub fn traits(&self) -> BTreeMap<String, Value> {
        BTreeMap::new()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    aud: Audience,
    exp: f64,
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<bool>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

fn refuse(code: &'static str, message: &str) -> Error {
    Error::new(code, message, "token")
}

/// Checks a token. Errors: `bad_token` (shape), `bad_token_algorithm`, `unknown_token_key`,
/// `bad_token_signature`, `wrong_token_audience`, `token_expired`, `token_not_yet_valid`,
/// `blocked_identifier`, `bad_identifier`.
pub fn verify(
    token: &str,
    settings: &IdentitySettings,
    tenant: &str,
    now: Timestamp,
) -> Result<Verified, Error> {
    let shape = || refuse("bad_token", "this is no signed token");
    if token.len() > limits::TOKEN_BYTES {
        return Err(shape());
    }
    let (signed, signature) = token.rsplit_once('.').ok_or_else(shape)?;
    let (header, claims) = signed.split_once('.').ok_or_else(shape)?;
    let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| shape());
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| shape())?;
    if header.alg != "EdDSA" {
        return Err(refuse("bad_token_algorithm", "login tokens are signed with EdDSA"));
    }
    let key = settings
        .login_keys
        .iter()
        .find(|key| key.kid == header.kid)
        .ok_or_else(|| refuse("unknown_token_key", "no login key has this token's kid"))?;
    let forged = || refuse("bad_token_signature", "the token's signature does not hold");
    let key = VerifyingKey::from_bytes(&key.ed25519).map_err(|_| forged())?;
    let signature = Signature::from_slice(&decode(signature)?).map_err(|_| forged())?;
    key.verify_strict(signed.as_bytes(), &signature).map_err(|_| forged())?;
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| shape())?;
    check_claims(claims, settings, tenant, now)
}

fn check_claims(
    claims: Claims,
    settings: &IdentitySettings,
    tenant: &str,
    now: Timestamp,
) -> Result<Verified, Error> {
    let meant = match &claims.aud {
        Audience::One(one) => one == tenant,
        Audience::Many(many) => many.iter().any(|one| one == tenant),
    };
    if !meant {
        return Err(refuse("wrong_token_audience", "the token is for somebody else"));
    }
    let expires = seconds(claims.exp)?;
    if now.since_ms(expires) >= limits::TOKEN_SKEW_MS {
        return Err(refuse("token_expired", "the token has expired"));
    }
    if expires.since_ms(now) > limits::TOKEN_AGE_MS {
        return Err(refuse("bad_token", "a login token lives at most 15 minutes"));
    }
    for start in [claims.iat, claims.nbf].into_iter().flatten() {
        if seconds(start)?.since_ms(now) > limits::TOKEN_SKEW_MS {
            return Err(refuse("token_not_yet_valid", "the token is not valid yet"));
        }
    }
    if claims.jti.is_empty() || claims.jti.len() > limits::EVENT_ID_BYTES {
        return Err(refuse("bad_token", "a login token has a jti of 1 to 100 bytes"));
    }
    let mut identifiers = Vec::new();
    if let Some(sub) = &claims.sub {
        identifiers.push(Identifier::parse(IdentifierKind::CustomerId, sub, &settings.blocked)?);
    }
    if let Some(email) = claims.email.as_ref().filter(|_| claims.email_verified != Some(false)) {
        // With a subject, an address that names nobody is left aside; alone, it is refused.
        match Identifier::parse(IdentifierKind::Email, email, &settings.blocked) {
            Ok(identifier) => identifiers.push(identifier),
            Err(error) if identifiers.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    if identifiers.is_empty() {
        return Err(refuse("bad_token", "a login token names its subject in `sub` or `email`"));
    }
    Ok(Verified { identifiers, jti: claims.jti, expires })
}

/// A NumericDate (RFC 7519, section 2) as milliseconds.
fn seconds(date: f64) -> Result<Timestamp, Error> {
    // The bound is the year 9999; it also refuses NaN and infinity.
    if !(0.0..=253_402_300_799.0).contains(&date) {
        return Err(refuse("bad_token", "a time of the token is out of range"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let ms = (date * 1_000.0) as i64;
    Ok(Timestamp(ms))
}
