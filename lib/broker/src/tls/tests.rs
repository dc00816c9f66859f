use super::*;

/// Some day of 2026.
const NOW: Duration = DAY.saturating_mul(20_600);

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_certificate_is_generated_once_and_again_for_new_names() {
    let dir = tempfile::tempdir().unwrap();
    let made = |names: &[&str]| {
        let certificates = Certificates::open_or_create(dir.path(), &list(names), NOW).unwrap();
        (read(&certificates.certificate), read(certificates.authority.as_deref().unwrap()))
    };
    let first = made(&["a.example", "192.0.2.1"]);
    assert_eq!(made(&["a.example", "192.0.2.1"]), first);
    let second = made(&["b.example"]);
    assert_ne!(second.0, first.0);
    assert_eq!(second.1, first.1, "agents go on trusting the authority they were given");
}

#[test]
fn a_name_that_agents_may_use_stays_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let made = |names: &[&str]| Certificates::open_or_create(dir.path(), &list(names), NOW).unwrap();
    let proves = |certificates: &Certificates, name: &str| {
        certificates.prove_to(certificates.authority.as_deref(), name, NOW).is_ok()
    };
    made(&["old.example", "192.0.2.1"]);
    let both = made(&["new.example"]);
    assert!(proves(&both, "old.example") && proves(&both, "192.0.2.1") && proves(&both, "new.example"));
    let dropped = list(&["old.example", "never.example"]);
    assert_eq!(Certificates::drop_names(dir.path(), &dropped, NOW).unwrap(), ["old.example"]);
    let rest = made(&["new.example"]);
    assert!(!proves(&rest, "old.example") && proves(&rest, "192.0.2.1") && proves(&rest, "new.example"));
    assert!(Certificates::drop_names(dir.path(), &dropped, NOW).unwrap().is_empty());
}

#[test]
fn agents_of_another_authority_do_not_accept_it() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = list(&["broker.example"]);
    let made = Certificates::open_or_create(ours.path(), &names, NOW).unwrap();
    let other = Certificates::open_or_create(others.path(), &names, NOW).unwrap();
    assert!(made.prove_to(made.authority.as_deref(), "broker.example", NOW).is_ok());
    assert!(made.prove_to(other.authority.as_deref(), "broker.example", NOW).is_err());
    assert!(made.prove_to(None, "broker.example", NOW).is_err());
}

#[test]
fn a_certificate_carries_its_names_for_ten_years_and_is_renewed_in_the_last_five() {
    let dir = tempfile::tempdir().unwrap();
    let names = list(&["broker.example", "192.0.2.1", "2001:db8::1"]);
    let made = |unix| Certificates::open_or_create(dir.path(), &names, unix).unwrap();
    let certificates = made(NOW);
    let first = read(&certificates.certificate);
    // A host whose clock says 1980 accepts it, too.
    for unix in [DAY * 3_700, NOW, NOW + VALIDITY - DAY] {
        proof::prove(&certificates, &names, unix).unwrap();
    }
    let ended = proof::prove(&certificates, &names, NOW + VALIDITY + DAY).unwrap_err();
    assert!(ended.ends_with("broker.pem has expired"), "{ended}");

    made(NOW + VALIDITY - RENEWAL - DAY);
    assert_eq!(read(&certificates.certificate), first);
    made(NOW + VALIDITY - RENEWAL + DAY);
    assert_ne!(read(&certificates.certificate), first);
    proof::prove(&certificates, &names, NOW + VALIDITY + DAY).unwrap();
}

#[test]
fn broken_files_in_the_folder_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let names = list(&["broker.example"]);
    let certificates = Certificates::open_or_create(dir.path(), &names, NOW).unwrap();
    fs::write(&certificates.certificate, "half a fi").unwrap();
    Certificates::open_or_create(dir.path(), &names, NOW).unwrap();
    fs::remove_file(&certificates.key).unwrap();
    Certificates::open_or_create(dir.path(), &names, NOW).unwrap();
    proof::prove(&certificates, &names, NOW).unwrap();
}

#[test]
fn a_certificate_that_clients_would_refuse_is_refused_with_the_reason() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = list(&["broker.example"]);
    let good = Certificates::open_or_create(ours.path(), &names, NOW).unwrap();
    let other = Certificates::open_or_create(others.path(), &names, NOW).unwrap();
    let junk = ours.path().join("junk.pem");
    fs::write(&junk, "junk").unwrap();
    let ca = good.authority.as_deref();
    let given = |certificate: &Path, key: &Path, ca: Option<&Path>, name: &str, unix| {
        Certificates::given(certificate, key, ca, name, unix).map_err(|error| error.to_string())
    };
    assert_eq!(given(&good.certificate, &good.key, ca, "broker.example", NOW), Ok(good.clone()));
    for (refused, reason) in [
        (given(Path::new("/no/cert.pem"), &good.key, ca, "broker.example", NOW), "cannot use /no/cert.pem: "),
        (given(&junk, &good.key, ca, "broker.example", NOW), "junk.pem holds no certificate (PEM)"),
        (given(&good.certificate, &junk, ca, "broker.example", NOW), "junk.pem holds no private key (PEM)"),
        (given(&good.certificate, &other.key, ca, "broker.example", NOW), "broker.key is not the key of "),
        (given(&good.certificate, &good.key, ca, "broker.example", NOW + VALIDITY + DAY), "has expired"),
        (given(&good.certificate, &good.key, ca, "broker.example", DAY), "is not valid yet"),
        (given(&good.certificate, &good.key, ca, "other.example", NOW), "is not valid for other.example"),
        (
            given(&good.certificate, &good.key, other.authority.as_deref(), "broker.example", NOW),
            "cannot be used: ",
        ),
        (
            given(&good.certificate, &good.key, None, "broker.example", NOW),
            "name the authority's certificate",
        ),
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.contains(reason) && refused.lines().count() == 1, "{reason}: {refused}");
    }
}
