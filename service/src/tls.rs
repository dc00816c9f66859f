//! Certificates for a broker that other hosts can reach.
//!
//! Either the operator gives one, or this makes an authority and a certificate of its own in the data folder: agents
//! then trust that authority alone, which `tidemap enroll` hands to them.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::{
    data_dir::create_private,
    keys::{KeysError, write_if_changed},
};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] KeysError),
    /// A name or a key is not what it should be.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// A broker's certificate, and what clients must trust to believe it.
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
    /// Takes a certificate of the operator's. A public authority vouches for it.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn given(certificate: &Path, key: &Path, authority: Option<&Path>) -> Result<Self, TlsError> {
        for path in [Some(certificate), Some(key), authority].into_iter().flatten() {
            fs::read(path).map_err(at(path))?;
        }
        let absolute = |path: &Path| path.canonicalize().map_err(at(path));
        Ok(Self {
            certificate: absolute(certificate)?,
            key: absolute(key)?,
            authority: authority.map(absolute).transpose()?,
        })
    }

    /// Makes what is missing in the data folder: an authority once, and a certificate for these host names and
    /// addresses whenever they change.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or a name cannot stand in a certificate.
    pub fn open_or_create(dir: &Path, names: &[String]) -> Result<Self, TlsError> {
        let folder = dir.join("tls");
        create_private(&folder).map_err(at(&folder))?;
        let folder = folder.canonicalize().map_err(at(&folder))?;
        let path = |name: &str| folder.join(name);
        let (authority, authority_key) = (path("ca.pem"), path("ca.key"));
        let ca_key = key(&authority_key)?;
        let ca = authority_params();
        if !authority.exists() {
            write_if_changed(&authority, &ca.self_signed(&ca_key)?.pem())?;
        }
        let (certificate, broker_key, named) = (path("broker.pem"), path("broker.key"), path("names"));
        let listed = names.join("\n") + "\n";
        if !certificate.exists()
            || fs::read_to_string(&named).is_ok_and(|old| old != listed)
            || !named.exists()
        {
            let signed =
                broker_params(names)?.signed_by(&key(&broker_key)?, &Issuer::from_params(&ca, &ca_key))?;
            write_if_changed(&certificate, &signed.pem())?;
            write_if_changed(&named, &listed)?;
        }
        Ok(Self { certificate, key: broker_key, authority: Some(authority) })
    }
}

/// The authority of a data folder, when one was made there.
pub fn authority_of(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join("tls/ca.pem")).ok()
}

/// The private key in a file, which is made when it is missing.
fn key(path: &Path) -> Result<KeyPair, TlsError> {
    match fs::read_to_string(path) {
        Ok(pem) => Ok(KeyPair::from_pem(&pem)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate()?;
            write_if_changed(path, &key.serialize_pem())?;
            Ok(key)
        }
        Err(error) => Err(at(path)(error)),
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Tidemap broker authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn broker_params(names: &[String]) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Tidemap broker");
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// The names under which a broker on this host can be reached: as nodes call it, and as this host calls itself.
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

fn at(path: &Path) -> impl Fn(io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_anew_for_new_names() {
        let dir = tempfile::tempdir().unwrap();
        let made = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let certificates = Certificates::open_or_create(dir.path(), &names).unwrap();
            let read = |path: &Path| fs::read_to_string(path).unwrap();
            (read(&certificates.certificate), read(certificates.authority.as_deref().unwrap()))
        };
        let first = made(&["a.example", "192.0.2.1"]);
        assert_eq!(made(&["a.example", "192.0.2.1"]), first);
        let second = made(&["b.example"]);
        assert_ne!(second.0, first.0);
        assert_eq!(second.1, first.1, "agents go on trusting the authority they were given");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error =
            Certificates::given(Path::new("/no/cert.pem"), Path::new("/no/key.pem"), None).unwrap_err();
        assert!(error.to_string().starts_with("cannot use /no/cert.pem: "), "{error}");
    }
}
