//! A provider's public keys (JSON Web Key Set), and what they have signed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde::Deserialize;

/// The keys of a provider. Those that are of no use here are left out.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<Key>);

/// A public key.
#[derive(Debug, Clone)]
pub struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Those of a document.
    pub fn read(document: serde_json::Value) -> Result<Self, serde_json::Error> {
        let Jwks { keys } = serde_json::from_value(document)?;
        let keys = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let for_signatures = keys.filter(|key| key.purpose.as_deref().is_none_or(|purpose| purpose == "sig"));
        Ok(Self(for_signatures.filter_map(Key::read).collect()))
    }

    /// The key with this id; without one, the only key there is.
    pub fn find(&self, id: Option<&str>) -> Option<&Key> {
        match id {
            Some(id) => self.0.iter().find(|key| key.id.as_deref() == Some(id)),
            None => self.0.first().filter(|_| self.0.len() == 1),
        }
    }
}

impl Key {
    fn read(key: Jwk) -> Option<Self> {
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok();
        let material = match (key.kty.as_str(), key.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: bytes(key.n)?, e: bytes(key.e)? },
            ("EC", Some("P-256")) => Material::P256(point(bytes(key.x)?, bytes(key.y)?, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(bytes(key.x)?, bytes(key.y)?, 48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(key.x)?),
            _ => return None,
        };
        Some(Self { id: key.kid, material })
    }

    /// Whether this key has signed the message, with this algorithm (RFC 7518). Each kind of key takes its own
    /// algorithms and no other: what a token says of its algorithm chooses among them, no more.
    pub fn has_signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters: &'static RsaParameters, n: &[u8], e: &[u8]| {
            RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
        };
        let plain = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, "RS256") => rsa(&RSA_PKCS1_2048_8192_SHA256, n, e),
            (Material::Rsa { n, e }, "RS384") => rsa(&RSA_PKCS1_2048_8192_SHA384, n, e),
            (Material::Rsa { n, e }, "RS512") => rsa(&RSA_PKCS1_2048_8192_SHA512, n, e),
            (Material::Rsa { n, e }, "PS256") => rsa(&RSA_PSS_2048_8192_SHA256, n, e),
            (Material::P256(key), "ES256") => plain(&ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), "ES384") => plain(&ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), "EdDSA" | "Ed25519") => plain(&ED25519, key),
            _ => false,
        }
    }
}

/// A point of a curve as SEC 1 writes it, uncompressed.
fn point(x: Vec<u8>, y: Vec<u8>, size: usize) -> Option<Vec<u8>> {
    (x.len() == size && y.len() == size).then(|| [vec![4], x, y].concat())
}
