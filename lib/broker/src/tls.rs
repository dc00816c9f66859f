//! Certificates for a broker that other hosts can reach.
//!
//! Either the operator gives one, or this makes an authority and a certificate of its own in the data folder:
//! agents then trust that authority alone, which `tidemap enroll` hands to them.
//!
//! What is made here begins in 1975, so that a host whose clock has forgotten the year still gets in. The
//! authority does not end: it is trusted because its file is in place, and is taken back by removing the
//! folder `tls` and enrolling again. The broker's certificate lasts ten years, and every start in its last
//! five makes a new one.

mod proof;

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::files::{self, PathError, at};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a certificate of ours is valid.
const VALIDITY: Duration = DAY.saturating_mul(3_650);
/// Generated certificates that expire earlier than this are generated again.
const RENEWAL: Duration = DAY.saturating_mul(1_825);
/// Certificates of the operator's that expire earlier than this are warned about.
const WARNING: Duration = DAY.saturating_mul(30);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PathError),
    /// A name or a key is not what it should be.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No client would accept it.
    #[error("{0}")]
    Unconvincing(String),
}

/// A broker's certificate, and the authority that clients must trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The certificate, and what leads from it to its authority (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// The authority (PEM), when it is not one that every system trusts.
    pub authority: Option<PathBuf>,
}

impl Certificates {
    /// Takes a certificate of the operator's, for the name under which nodes reach this host. A public
    /// authority vouches for it when none is named. `unix` is now, since 1970.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or clients would not accept the certificate.
    pub fn given(
        certificate: &Path,
        key: &Path,
        authority: Option<&Path>,
        name: &str,
        unix: Duration,
    ) -> Result<Self, TlsError> {
        for path in [Some(certificate), Some(key), authority].into_iter().flatten() {
            fs::read(path).map_err(at(path))?;
        }
        let absolute = |path: &Path| path.canonicalize().map_err(at(path));
        let given = Self {
            certificate: absolute(certificate)?,
            key: absolute(key)?,
            authority: authority.map(absolute).transpose()?,
        };
        let names = [name.to_owned()];
        proof::prove(&given, &names, unix).map_err(TlsError::Unconvincing)?;
        if let Err(fault) = proof::prove(&given, &names, unix + WARNING) {
            tracing::warn!("in {} days: {fault}", WARNING.as_secs() / DAY.as_secs());
        }
        Ok(given)
    }

    /// Makes what is missing in the data folder: an authority once, and a certificate for these host names
    /// and addresses whenever they change or the one that is there ends too soon. `unix` is now, since 1970.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or a name cannot stand in a certificate.
    pub fn open_or_create(dir: &Path, names: &[String], unix: Duration) -> Result<Self, TlsError> {
        let folder = dir.join("tls");
        files::create_private(&folder).map_err(at(&folder))?;
        let folder = folder.canonicalize().map_err(at(&folder))?;
        let path = |name: &str| folder.join(name);
        let (authority, authority_key) = (path("ca.pem"), path("ca.key"));
        let ca_key = key(&authority_key)?;
        let ca = authority_params();
        if !authority.exists() {
            files::write_if_changed(&authority, &ca.self_signed(&ca_key)?.pem())?;
        }
        let made =
            Self { certificate: path("broker.pem"), key: path("broker.key"), authority: Some(authority) };
        if proof::prove(&made, names, unix + RENEWAL).is_err() {
            let issuer = Issuer::from_params(&ca, &ca_key);
            let signed = broker_params(names, unix)?.signed_by(&key(&made.key)?, &issuer)?;
            files::write_if_changed(&made.certificate, &signed.pem())?;
        }
        Ok(made)
    }
}

/// The private key in a file, which is made when it is missing.
fn key(path: &Path) -> Result<KeyPair, TlsError> {
    if let Some(pem) = files::read(path)? {
        return Ok(KeyPair::from_pem(&pem)?);
    }
    let key = KeyPair::generate()?;
    files::write_if_changed(path, &key.serialize_pem())?;
    Ok(key)
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Tidemap broker authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn broker_params(names: &[String], unix: Duration) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names)?;
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + unix + VALIDITY;
    params.distinguished_name.push(DnType::CommonName, "Tidemap broker");
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// The names under which a broker on this host can be reached: as nodes call it, and as this host calls
/// itself.
pub fn names(advertised: &str, listen: IpAddr) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.push(advertised.to_owned());
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
