//! Whether clients will accept a certificate: the same checks as in an agent's TLS library.

use std::{path::Path, sync::Arc, time::Duration};

use async_nats::rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};

use super::Certificates;

/// Checks that clients that trust the authority accept the certificate for each of these names at `unix`
/// (since 1970).
///
/// # Errors
///
/// What is wrong, as a text to follow a flag's name.
pub(super) fn prove(files: &Certificates, names: &[String], unix: Duration) -> Result<(), String> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.certificate)?;
    let Some((broker, between)) = chain.split_first() else {
        return Err(format!("{} holds no certificate (PEM)", files.certificate.display()));
    };
    check_key(files, chain.clone(), &provider)?;
    let roots = Arc::new(roots(files.authority.as_deref())?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
    let verifier = verifier.map_err(|error| format!("no trusted authorities: {error}"))?;
    for name in names {
        let server = ServerName::try_from(name.as_str()).map_err(|_| format!("{name} is not a host name"))?;
        let verified =
            verifier.verify_server_cert(broker, between, &server, &[], UnixTime::since_unix_epoch(unix));
        verified.map_err(|error| format!("{} {}", files.certificate.display(), fault(&error, name)))?;
    }
    Ok(())
}

fn check_key(
    files: &Certificates,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<(), String> {
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|_| format!("{} holds no private key (PEM)", files.key.display()))?;
    CertifiedKey::from_der(chain, key, provider).map(drop).map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            format!("{} is not the key of {}", files.key.display(), files.certificate.display())
        }
        Error::InvalidCertificate(_) => format!("{} holds no valid certificate", files.certificate.display()),
        _ => format!("{} cannot be used: {error}", files.key.display()),
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| format!("{} holds no certificate (PEM): {error}", path.display()))
}

/// The trusted authorities: the given one, or else those that this system trusts.
pub(super) fn roots(authority: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("{} is not a certificate authority: {error}", path.display()))?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    Ok(roots)
}

fn fault(error: &Error, name: &str) -> String {
    let Error::InvalidCertificate(error) = error else { return format!("cannot be used: {error}") };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("is not valid for {name}, the name under which nodes reach this host (--advertise)")
        }
        CertificateError::UnknownIssuer => {
            "comes from an authority that is not trusted here: name the authority's certificate with --tls-ca"
                .to_owned()
        }
        other => format!("cannot be used: {other}"),
    }
}
