//! Certificates for a broker that other hosts can reach.
//!
//! Either the operator provides one, or this module generates an authority and a certificate in the data
//! folder. Agents then trust that authority alone; `tidemap enroll` passes it to them.
//!
//! Generated certificates are valid from 1975 on, so that a host whose clock is wrong can connect. The
//! authority does not expire: to replace it, remove the folder `tls`, start with `--new-authority` and enroll
//! all nodes again. The broker's certificate is valid for ten years; a start in its last five years generates
//! a new one. It carries every name that one of its predecessors had (`names`), because agents may use any of
//! them.

mod names;
mod proof;
mod shown;

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

pub use shown::shows;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a generated certificate is valid.
const VALIDITY: Duration = DAY.saturating_mul(3_650);
/// A generated certificate with less time than this left is generated again.
const RENEWAL: Duration = DAY.saturating_mul(1_825);
/// The operator's certificate causes a warning when it expires sooner than this.
const WARNING: Duration = DAY.saturating_mul(30);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PathError),
    /// A certificate or a key cannot be generated.
    #[error("cannot make a certificate: {0}")]
    Certificate(rcgen::Error),
    /// Clients would not accept it.
    #[error("{0}")]
    Unconvincing(String),
}

impl From<rcgen::Error> for TlsError {
    /// The message has the error, so it is no `source`: `{:#}` would print it twice.
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error)
    }
}

/// A broker's certificate, and the authority that clients must trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The certificate, with the intermediate certificates that lead to its authority (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// The authority (PEM), unless every system trusts it already.
    pub authority: Option<PathBuf>,
}

impl Certificates {
    /// Checks a certificate of the operator's for the name under which nodes reach this host. Without an
    /// authority, it must be signed by a public one. `unix` is the present time, since 1970.
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

    /// Generates what is missing in the data folder: an authority once, and a certificate whenever it lacks
    /// one of these host names and addresses, or of those of earlier calls, or expires too soon. `unix` is
    /// the present time, since 1970.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or a name is not allowed in a certificate.
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
        let names = names::kept(&folder, names)?;
        if proof::prove(&made, &names, unix + RENEWAL).is_err() {
            let issuer = Issuer::from_params(&ca, &ca_key);
            let signed = broker_params(&names, unix)?.signed_by(&key(&made.key)?, &issuer)?;
            files::write_if_changed(&made.certificate, &signed.pem())?;
        }
        Ok(made)
    }

    /// Leaves these names out of the certificate that is generated next, unless they are asked for again.
    /// Returns those that the present one has.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written.
    pub fn drop_names(dir: &Path, dropped: &[String], unix: Duration) -> Result<Vec<String>, TlsError> {
        let folder = dir.join("tls");
        let found = Self::present_names(dir, dropped, unix);
        names::forget(&folder, dropped)?;
        if !found.is_empty() {
            files::remove(&folder.join("broker.pem"))?;
        }
        Ok(found)
    }

    /// Those of these names for which the certificate is valid that was generated last, such as by a version
    /// that kept no names.
    pub fn present_names(dir: &Path, names: &[String], unix: Duration) -> Vec<String> {
        let folder = dir.join("tls");
        let present = Self {
            certificate: folder.join("broker.pem"),
            key: folder.join("broker.key"),
            authority: Some(folder.join("ca.pem")),
        };
        let has = |name: &&String| proof::prove(&present, std::slice::from_ref(*name), unix).is_ok();
        names.iter().filter(has).cloned().collect()
    }

    /// Whether clients that trust this authority, or those that their systems know, accept the certificate
    /// for this name; else why not.
    ///
    /// # Errors
    ///
    /// As described.
    pub fn prove_to(&self, authority: Option<&Path>, name: &str, unix: Duration) -> Result<(), TlsError> {
        let shown = Self { authority: authority.map(Path::to_owned), ..self.clone() };
        proof::prove(&shown, &[name.to_owned()], unix).map_err(TlsError::Unconvincing)
    }
}

/// The private key in a file; generates it if the file is missing.
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

/// The names under which a broker on this host can be reached, by other nodes and from this host itself.
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
