use std::time::Duration;

use tidemap_wire::{AlertChange, Severity};

use super::{alert, notice, parse, post, refusal};
use crate::channels::{Setting, mail::Person, outgoing::Outgoing, test_notice, tests::outgoing};

/// Lines of TOML in a text of Markdown.
fn examples(text: &str) -> impl Iterator<Item = &str> {
    text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default())
}

#[test]
fn every_example_of_the_documentation_is_read() {
    let text = include_str!("../../../../../docs/notifications.md");
    let mut services = Vec::new();
    for example in examples(text) {
        let channels = parse(example);
        services.extend(channels.names().map(|name| channels.named(name).unwrap().service()));
    }
    services.sort_unstable();
    services.dedup();
    let all = ["alertmanager", "discord", "gotify", "ntfy", "slack", "smtp", "telegram", "webhook"];
    assert_eq!(services, all);
}

#[test]
fn short_addresses_lead_where_long_settings_lead() {
    let test = test_notice("c", 0);
    let address = |lines: &str| post(lines, &test).url;
    for (short, url) in [
        ("ntfy://ntfy.example/topic", "https://ntfy.example/"),
        ("ntfys://ntfy.example:8443/base/topic", "https://ntfy.example:8443/base"),
        ("ntfy+http://10.0.0.1:8080/topic", "http://10.0.0.1:8080/"),
        ("ntfy://10.0.0.1/topic?scheme=http", "http://10.0.0.1/"),
        ("https://ntfy.sh/topic", "https://ntfy.sh/"),
        ("telegram://1:Ab@telegram?chats=@c", "https://api.telegram.org/bot1:Ab/sendMessage"),
        ("tgram://1:Ab/-100", "https://api.telegram.org/bot1:Ab/sendMessage"),
        ("slack://AbC/DeF/Gh1", "https://hooks.slack.com/services/AbC/DeF/Gh1"),
        ("slack://hook:AbC-DeF-Gh1@webhook", "https://hooks.slack.com/services/AbC/DeF/Gh1"),
        ("https://hooks.slack.com/services/A/B/C", "https://hooks.slack.com/services/A/B/C"),
        ("discord://1234/AbC", "https://discord.com/api/webhooks/1234/AbC?wait=true"),
        ("discord://AbC@1234", "https://discord.com/api/webhooks/1234/AbC?wait=true"),
        ("discord://A@1?thread_id=7", "https://discord.com/api/webhooks/1/A?thread_id=7&wait=true"),
        ("https://discord.com/api/webhooks/1/A", "https://discord.com/api/webhooks/1/A?wait=true"),
        ("gotify://push.example/sub/Tok", "https://push.example/sub/message"),
        ("gotify://push.example/Tok?disabletls=yes", "http://push.example/message"),
        ("alertmanager+http://am:9093", "http://am:9093/api/v2/alerts"),
        ("generic://hooks.example/x?a=b", "https://hooks.example/x?a=b"),
        ("https://hooks.example/x", "https://hooks.example/x"),
    ] {
        assert_eq!(address(&format!("url = \"{short}\"")), url, "{short}");
    }
    let telegram = post("url = \"telegram://1:Ab@telegram?chats=-100:42\"", &test).body;
    let table = post("type = \"telegram\"\ntoken_env = \"1:Ab\"\nchat = -100\nthread = 42", &test).body;
    assert_eq!(telegram, table);
    let ntfy = post("url = \"ntfy://me:p%40ss@h/t\"", &test);
    let table =
        "type = \"ntfy\"\nserver = \"https://h/\"\ntopic = \"t\"\nuser = \"me\"\npassword_env = \"p@ss\"";
    let table = post(table, &test);
    assert_eq!((&ntfy.url, &ntfy.headers, &ntfy.body), (&table.url, &table.headers, &table.body));
    assert!(ntfy.headers.contains(&("authorization".to_owned(), "Basic bWU6cEBzcw==".to_owned())));
    let token = post("url = \"ntfy://tk_1@h/t\"", &test);
    assert!(token.headers.contains(&("authorization".to_owned(), "Bearer tk_1".to_owned())));
}

#[test]
fn a_mail_server_is_a_short_address_too() {
    let short = "url = \"smtps://me:p%40ss@mail.example/?from=t@x.y&to=a@b.c,N%20O%20%3Cn@o.p%3E\"";
    let sent = outgoing(&format!("[[channel]]\nname = \"c\"\n{short}"), &test_notice("c", 0)).unwrap();
    let Outgoing::Mail(mail) = sent else { panic!("no mail") };
    assert_eq!((mail.server.host.as_str(), mail.server.port), ("mail.example", 465));
    assert_eq!(mail.server.login, Some(("me".to_owned(), "p@ss".to_owned())));
    let to = [(None, "a@b.c"), (Some("N O"), "n@o.p")];
    let to = to.map(|(name, address)| Person { name: name.map(str::to_owned), address: address.to_owned() });
    assert_eq!(mail.to, to);
}

#[test]
fn a_mistake_is_found_with_its_line_and_column_and_secrets_are_not_repeated() {
    for (lines, says) in [
        ("", "type: is missing"),
        ("type = \"pager\"", "type: must be one of webhook, ntfy"),
        ("url = \"hunter2://hunter2\"", "url: leads to no service"),
        ("url = \"hunter2\"", "url: leads to no service"),
        ("url = 5", "url: leads to no service"),
        ("type = \"ntfy\"\nurl = \"slack://hunter2/b/c\"", "url: belongs to another type of channel"),
        ("type = \"slack\"\nurl = \"hunter2\"", "url: cannot be read as an address"),
        ("url = \"slack://hunter2/hunter2\"", "url: must be slack://A/B/C"),
        ("url = \"discord://hunter2\"", "url: must be discord://"),
        ("url = \"telegram://hunter2@telegram\"", "url: has no ?chats="),
        ("url = \"telegram://hunter2@telegram?chats=a,b\"", "url: has several chats"),
        ("url = \"ntfy://hunter2\"", "url: has no topic"),
        ("url = \"ntfy://hunter2@h/t\"", "url: has a user without a password"),
        ("url = \"ntfy://h/to%20pic\"", "topic: must have letters"),
        (
            "type = \"ntfy\"\ntoken = \"hunter2\"",
            "token: a secret is not written into this file: set token_file",
        ),
        ("type = \"ntfy\"\ntopic = \"t\"\nuser = \"u\"", "password: is missing"),
        ("type = \"ntfy\"\ntopic = [\"hunter2\", 5]", "topic: must be text"),
        ("type = \"gotify\"\nserver = \"hunter2\"\ntoken_env = \"T\"", "server: must be an address"),
        ("type = \"gotify\"\nserver = \"https://g\"", "token: is missing"),
        ("type = \"webhook\"", "url: is missing"),
        ("url = \"https://h/\"\nheaders = \"hunter2\"", "headers: must be a table"),
        ("url = \"https://h/\"\nheaders = { A = 5 }", "headers: A: must be text, { file"),
        (
            "url = \"https://h/\"\nheaders = { Authorization = \"hunter2\" }",
            "headers: Authorization: a secret is not written into this file",
        ),
        ("url = \"https://h/\"\nheaders = { \"A B\" = \"x\" }", "headers.A B: cannot be set"),
        ("url = \"https://h/\"\nheaders = { Host = \"x\" }", "headers.Host: cannot be set"),
        ("url = \"https://h/\"\nheaders = { A = \"hunter2\\r\\nB: c\" }", "headers.A: must be one line"),
        (
            "url = \"https://h/\"\ncolour = \"hunter2\"",
            "colour: is no setting of webhook, which has url, secret",
        ),
        ("url = \"https://h/\"\nsecret_file = \"a\"\nsecret_env = \"b\"", "secret: is given more than once"),
        ("url = \"https://h/\"\ntemplate = '{\"a\": \"{{text}}\"}'", "template: does not make JSON"),
        ("url = \"https://h/\"\ntemplate = '{\"a\": {{value}}}'", "template: does not make JSON"),
        ("url = \"https://h/\"\ntemplate = '{{json name}}'", "template: there is no name: there are alerts"),
        ("url = \"https://h/\"\ntemplate = '{{json'", "template: has {{ without }}"),
        ("type = \"smtp\"\nhost = \"h\"\nfrom = \"a@b\"\nto = \"hunter2\"", "to: must be addresses"),
        (
            "type = \"smtp\"\nhost = \"h\"\nfrom = \"a@b\\r\\nBcc: c@d\"\nto = \"a@b\"",
            "from: must be one line",
        ),
        ("type = \"smtp\"\nhost = \"h\"\nfrom = \"a@b, c@d\"\nto = \"a@b\"", "from: must be one address"),
        (
            "type = \"smtp\"\nhost = \"h\"\nport = 99999\nfrom = \"a@b\"\nto = \"a@b\"",
            "port: must be a whole number",
        ),
        (
            "type = \"smtp\"\nhost = \"h\"\nencryption = \"none\"\nuser = \"u\"\npassword_env = \"P\"\nfrom = \
             \"a@b\"\nto = \"a@b\"",
            "encryption: a password is not sent without encryption",
        ),
    ] {
        let said = refusal(&format!("\n[[channel]]\nname = \"c\"\n{lines}\n"));
        assert!(said.starts_with("line ") && said.contains(&format!(": {says}")), "{lines}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = refusal("[[channel]]\nname = \"c\"\nurl = \"https://h/\"\n  topic = \"x\"\n");
    assert!(said.starts_with("line 4, column 3: topic: is no setting of webhook"), "{said}");
    let said = refusal("[[channel]]\nname = \"c\"\ntype = \"ntfy\"\ntopic = \"a b\"\n");
    assert!(said.starts_with("line 4, column 9: topic: "), "{said}");
    for name in ["\"\"", "5", "\"a\\nb\""] {
        let said = refusal(&format!("[[channel]]\nname = {name}\nurl = \"https://h/\""));
        assert!(said.starts_with("line 2, column 8: name: must be text"), "{said}");
    }
    let twice = "[[channel]]\nname = \"c\"\nurl = \"https://h/\"\n".repeat(2);
    assert!(refusal(&twice).ends_with("name: there is another channel c"));
}

#[test]
fn what_is_shown_of_a_file_has_no_secret() {
    let file = parse(
        "[[channel]]\nname = \"c\"\nurl = \"slack://hunter2/hunter2/hunter2\"\n\
         [heartbeat]\nurl = \"https://hc.example/hunter2\"",
    );
    let shown = format!("{file:?}");
    assert!(shown.contains("Given(…)") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn notices_go_to_the_channels_of_all_routes_that_match() {
    let two =
        "[[channel]]\nname = \"a\"\nurl = \"https://a/\"\n[[channel]]\nname = \"b\"\nurl = \"https://b/\"\n";
    let rules = ["other", "fast"].map(|name| format!("[[rule]]\nname = \"{name}\"\nmetric = \"offline\"\n"));
    let rules = rules.concat();
    let mut fired = notice(AlertChange::Fired, vec![alert("x"), alert("y")]);
    fired.alerts[1].target.labels.insert("site".to_owned(), "fra".to_owned());
    assert_eq!(parse(two).routes(&fired), ["a", "b"]);
    for (route, goes) in [
        ("", true),
        ("severity = \"info\"", true),
        ("severity = \"warning\"", true),
        ("severity = \"critical\"", false),
        ("changes = [\"fired\", \"resolved\"]", true),
        ("changes = [\"repeated\"]", false),
        ("rules = [\"other\", \"fast\"]", true),
        ("rules = [\"other\"]", false),
        ("labels = { site = \"fra\" }", true),
        ("labels = { site = \"fra\", rack = \"1\" }", false),
        ("labels = { site = \"ber\" }", false),
    ] {
        let channels = parse(&format!("{two}{rules}[[route]]\nchannels = [\"b\"]\n{route}"));
        assert_eq!(channels.routes(&fired), if goes { vec!["b"] } else { Vec::new() }, "{route}");
    }
    let routes =
        "[[route]]\nchannels = [\"b\"]\n[[route]]\nchannels = [\"b\", \"a\"]\nseverity = \"critical\"";
    let channels = parse(&format!("{two}{routes}"));
    assert_eq!(channels.routes(&fired), ["b"]);
    fired.severity = Severity::Critical;
    assert_eq!(channels.routes(&fired), ["a", "b"]);
    for (route, says) in [
        ("channels = [\"c\"]", "channels: there is no channel \"c\""),
        ("channels = []", "a list is empty, so the route leads nowhere"),
        ("channels = [\"a\"]\nrules = [\"fsat\"]", "rules: there is no rule fsat"),
        ("channels = [\"a\"]\nrules = []", "a list is empty, so the route leads nowhere"),
    ] {
        let said = refusal(&format!("{two}[[route]]\n{route}"));
        assert!(said.starts_with("line ") && said.ends_with(says), "{said}");
    }
}

#[test]
fn a_heartbeat_has_one_address() {
    let heartbeat = |lines: &str| parse(&format!("[heartbeat]\n{lines}")).heartbeat().cloned().unwrap();
    let usual = heartbeat("url_env = \"HC\"");
    assert_eq!((usual.url, usual.every), (Setting::Variable("HC".to_owned()), Duration::from_secs(60)));
    assert_eq!(heartbeat("url = \"https://h/\"\nevery = \"5m\"").every, Duration::from_secs(300));
    for (lines, says) in [
        ("", "it must have one of url, url_file and url_env"),
        ("url = \"https://h/\"\nurl_env = \"HC\"", "it must have one of url, url_file and url_env"),
        ("url = \"hunter2\"", "url: must be an address that begins with https://"),
        ("url = 5", "url: must be text"),
        ("url_env = \"HC\"\nevery = \"1s\"", "every: must be from 10 s to 86400 s"),
        ("url_env = \"HC\"\nevery = \"-9999999999999999999h\"", "every: must be from 10 s"),
        ("url_env = \"HC\"\ntoken = \"hunter2\"", "token: is no setting"),
    ] {
        let said = refusal(&format!("[heartbeat]\n{lines}"));
        assert!(said.contains(&format!("heartbeat: {says}")) && !said.contains("hunter2"), "{said}");
    }
    let said = refusal("heartbeat = \"https://hc.example/hunter2\"");
    assert!(said.ends_with("heartbeat: must be a table [heartbeat]"), "{said}");
}
