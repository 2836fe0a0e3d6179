//! Keyed hashes: the names of profile objects and the keys of identity shards. Edge and central
//! store compute the same names from the same tenant key. It must never write an identifier.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Identifier;
use crate::error::Error;
use crate::ids::{DeviceId, ProfileName};

/// The secret that a tenant's names are made with.
#[derive(Clone)]
pub struct TenantKey {
    tenant: String,
    key: [u8; 32],
}

impl TenantKey {
    /// From 64 hexadecimal digits. Errors: `bad_tenant_key`, `bad_tenant`.
    pub fn parse(tenant: &str, hex: &str) -> Result<Self, Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if tenant.is_empty() || tenant.len() > 63 || !tenant.bytes().all(plain) {
            return Err(Error::new(
                "bad_tenant",
                "a tenant's name has 1 to 63 lower-case letters, digits and hyphens",
                "tenant",
            ));
        }
        let wrong =
            || Error::new("bad_tenant_key", "a tenant key is 64 hexadecimal digits", "tenantKey");
        let bytes =
            data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| wrong())?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| wrong())?;
        Ok(Self { tenant: tenant.to_owned(), key })
    }

    /// The tenant's name.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// A keyed hash over the tenant, a use and a value. The parts are told apart by their lengths,
    /// so that no two inputs run together.
    fn hash(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return [0; 32] };
        for part in [self.tenant.as_bytes(), purpose.as_bytes(), value] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn half(&self, purpose: &str, value: &[u8]) -> [u8; 16] {
        let full = self.hash(purpose, value);
        let mut out = [0; 16];
        for (slot, byte) in out.iter_mut().zip(full) {
            *slot = byte;
        }
        out
    }

    /// The name of the person whose strongest identifier this is.
    pub fn person(&self, identifier: &Identifier) -> ProfileName {
        let purpose = format!("person:{}", identifier.kind().word());
        ProfileName::person(&self.half(&purpose, identifier.as_str().as_bytes()))
    }

    /// The name of an unlinked device.
    pub fn device(&self, device: DeviceId) -> ProfileName {
        ProfileName::device(&self.half("device", &device.0))
    }

    /// What an identity shard files an identifier under, and which of `shards` it lives on.
    pub fn lookup(&self, identifier: &Identifier, shards: u16) -> ([u8; 16], u16) {
        let purpose = format!("lookup:{}", identifier.kind().word());
        let key = self.half(&purpose, identifier.as_str().as_bytes());
        let [first, second, ..] = key;
        (key, u16::from_be_bytes([first, second]).checked_rem(shards).unwrap_or(0))
    }

    /// A tombstone's key: what the central store keeps of an erased person, peppered with the
    /// tenant key so that it names nobody without it.
    pub fn tombstone(&self, identifier: &Identifier) -> [u8; 32] {
        let purpose = format!("tombstone:{}", identifier.kind().word());
        self.hash(&purpose, identifier.as_str().as_bytes())
    }
}
