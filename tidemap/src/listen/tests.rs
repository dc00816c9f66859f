use super::*;
use clap::Parser;

#[derive(Debug, Parser)]
struct Cli {
    #[arg(long)]
    nats_url: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
}

fn check(args: &[&str]) -> anyhow::Result<Listener> {
    check_in(Path::new("/no/such/folder"), args)
}

fn check_in(dir: &Path, args: &[&str]) -> anyhow::Result<Listener> {
    let cli = Cli::try_parse_from([&["up"], args].concat())?;
    cli.listen.check(cli.nats_url.as_deref(), dir)
}

#[test]
fn without_tls_the_broker_stays_on_this_host() {
    assert_eq!(check(&[]).unwrap(), Listener::Loopback(None));
    let here = Listener::Loopback(Some(([127, 0, 0, 1], 4333).into()));
    for url in ["nats://127.0.0.1:4333", "127.0.0.1:4333", "nats://localhost:4333/"] {
        assert_eq!(check(&["--nats-url", url]).unwrap(), here, "{url}");
    }
    for bad in ["nats://0.0.0.0:4222", "nats://192.0.2.7", "4222", "tls://127.0.0.1:1", ""] {
        assert!(check(&["--nats-url", bad]).is_err(), "{bad}");
    }
}

/// What a start does with its data folder, except for starting a broker. Returns the advertised host.
fn started(dir: &Path, args: &[&str]) -> anyhow::Result<(String, Certificates)> {
    let listener = check_in(dir, &[&["--listen", "0.0.0.0"], args].concat())?;
    let (_, tls) = listener.prepare(dir)?;
    let tls = tls.unwrap();
    let Listener::Network(network) = listener else { panic!("not for other hosts") };
    network.publish(dir, PORT, tls.authority.as_deref())?;
    Ok((network.advertised.host().to_owned(), tls))
}

fn proves(tls: &Certificates, host: &str) -> bool {
    tls.prove_to(tls.authority.as_deref(), host, now()).is_ok()
}

#[test]
fn a_start_without_a_name_keeps_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (host, _) = started(dir.path(), &["--advertise", "old.example:24222"]).unwrap();
    assert_eq!(host, "old.example");
    let (host, tls) = started(dir.path(), &[]).unwrap();
    assert!(host == "old.example" && proves(&tls, &host), "{host}");
    assert_eq!(Earlier::read(dir.path()).name.unwrap().to_string(), "old.example:24222");
    let (host, tls) = started(dir.path(), &["--advertise", "new.example"]).unwrap();
    assert!(host == "new.example" && proves(&tls, &host) && proves(&tls, "old.example"), "{host}");
    started(dir.path(), &["--drop-name", "new.example"]).unwrap_err();
    let (host, tls) = started(dir.path(), &["--drop-name", "old.example"]).unwrap();
    assert!(host == "new.example" && proves(&tls, &host) && !proves(&tls, "old.example"), "{host}");
}

#[test]
fn an_address_that_this_host_had_by_chance_stays_in_the_certificate_only() {
    let dir = tempfile::tempdir().unwrap();
    started(dir.path(), &[]).unwrap();
    let authority = dir.path().join("tls/ca.pem");
    published::write(dir.path(), "tls://192.0.2.77:4222", Some(&authority)).unwrap();
    let (host, tls) = started(dir.path(), &[]).unwrap();
    assert!(host != "192.0.2.77" && proves(&tls, &host) && proves(&tls, "192.0.2.77"), "{host}");
}

#[test]
fn the_name_that_version_0_1_has_left_is_kept_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = tls::names("old.example", [0; 4].into());
    let listened: Vec<String> = all_outgoing([0; 4].into()).map(|ip| ip.to_string()).collect();
    names.extend(listened.clone());
    Certificates::open_or_create(dir.path(), &names, now()).unwrap();
    std::fs::remove_file(dir.path().join("tls/names")).unwrap();
    let authority = dir.path().join("tls/ca.pem");
    published::write(dir.path(), "tls://old.example:4222", Some(&authority)).unwrap();
    let (host, tls) = started(dir.path(), &[]).unwrap();
    assert!(host == "old.example" && proves(&tls, "old.example"), "{host}");
    let (_, tls) = started(dir.path(), &["--advertise", "new.example"]).unwrap();
    assert!(listened.iter().all(|ip| proves(&tls, ip)), "{listened:?}");
}

#[test]
fn a_start_with_an_authority_that_no_agent_trusts_is_refused() {
    let (dir, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = "broker.example".to_owned();
    let given = Certificates::open_or_create(theirs.path(), std::slice::from_ref(&name), now()).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (cert, key) = (path(&given.certificate), path(&given.key));
    let authority = path(given.authority.as_deref().unwrap());
    let given = ["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &authority, "--advertise", &name];
    let new = ["--new-authority"];
    started(dir.path(), &given).unwrap();
    let refused = started(dir.path(), &["--advertise", &name]).unwrap_err();
    assert!(refused.is::<UsageError>() && refused.to_string().contains("--new-authority"), "{refused}");
    started(dir.path(), &given).unwrap();
    started(dir.path(), &[&["--advertise", &name], &new[..]].concat()).unwrap();
    started(dir.path(), &given).unwrap_err();
    // Somebody has removed the folder.
    std::fs::remove_dir_all(dir.path().join("tls")).unwrap();
    started(dir.path(), &[]).unwrap_err();
    started(dir.path(), &new).unwrap();
    started(dir.path(), &[]).unwrap();
}

/// A start for this host alone.
fn alone(dir: &Path) {
    let listener = check_in(dir, &[]).unwrap();
    listener.prepare(dir).unwrap();
    published::write(dir, "nats://127.0.0.1:4222", None).unwrap();
}

#[test]
fn a_start_for_this_host_alone_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    started(dir.path(), &["--advertise", "old.example"]).unwrap();
    started(dir.path(), &["--advertise", "new.example"]).unwrap();
    alone(dir.path());
    assert_eq!(published_names(dir.path()), ["old.example", "new.example"]);
    std::fs::remove_dir_all(dir.path().join("tls")).unwrap();
    let refused = started(dir.path(), &[]).unwrap_err();
    assert!(refused.to_string().contains("--new-authority"), "{refused}");
    let (host, tls) = started(dir.path(), &["--new-authority"]).unwrap();
    assert!(host == "new.example" && proves(&tls, &host));
    assert_eq!(published_names(dir.path()), ["new.example"]);
}

#[test]
fn an_operators_certificate_must_be_for_every_name_that_agents_use() {
    let (dir, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    // One authority and a certificate for each name.
    let start = |name: &str, more: &[&str]| {
        std::fs::remove_file(theirs.path().join("tls/names")).ok();
        std::fs::remove_file(theirs.path().join("tls/broker.pem")).ok();
        let made = Certificates::open_or_create(theirs.path(), &[name.to_owned()], now()).unwrap();
        let (cert, key, authority) = (&made.certificate, &made.key, made.authority.as_deref().unwrap());
        let given = ["--tls-cert", &path(cert), "--tls-key", &path(key), "--tls-ca", &path(authority)];
        let args = [&["--advertise", name], &given[..], more].concat();
        started(dir.path(), &args)
    };
    start("old.example", &[]).unwrap();
    let refused = start("new.example", &[]).unwrap_err();
    assert!(refused.is::<UsageError>(), "{refused}");
    assert!(refused.to_string().contains("--drop-name old.example"), "{refused}");
    start("new.example", &["--drop-name", "old.example"]).unwrap();
    start("new.example", &[]).unwrap();
}

#[test]
fn for_other_hosts_there_is_always_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let listener = check(&["--listen", "0.0.0.0", "--advertise", "broker.example"]).unwrap();
    let (address, tls) = listener.prepare(dir.path()).unwrap();
    assert_eq!(address, Some(([0, 0, 0, 0], PORT).into()));
    assert!(tls.unwrap().authority.is_some());
    for bad in [
        &["--listen", "everywhere.invalid"][..],
        &["--listen", "tls://0.0.0.0:4222"],
        &["--listen", "0.0.0.0", "--tls-cert", "/a.pem"],
        &["--listen", "0.0.0.0", "--tls-cert", "/no/a.pem", "--tls-key", "/no/b.pem"],
        &["--listen", "0.0.0.0", "--nats-url", "nats://127.0.0.1:1"],
        &["--advertise", "x"],
        &["--listen", "0.0.0.0", "--advertise", "tls://broker.example"],
        &["--listen", "0.0.0.0", "--advertise", ""],
    ] {
        assert!(check(bad).is_err(), "{bad:?}");
    }
}
