//! The configuration of a broker that trusts an operator, in place of `nats.conf`.

/// The configuration whose settings other than accounts apply here, too.
const CONFIGURATION: &str = include_str!("../../../../nats.conf");

const HEADER: &str = "\
# Written by `tidemap operator`: a broker that trusts an operator's signatures. In place of nats.conf:
#
#   cd /var/lib/tidemap && nats-server -c nats.conf -a 127.0.0.1 -p 4222 -sd .
#
# It holds nothing secret. All brokers of a cluster may have the same file.
";

const RESOLVER: &str = "\
# What the operator says of its accounts: kept below the working directory, changed by `tidemap revoke` and
# `tidemap operator push` while the broker runs, and passed on to brokers of the cluster that were away.
resolver {
  type: full
  dir: \"accounts\"
  # How long a broker that was away may admit users that were revoked meanwhile; the default is a minute.
  interval: \"2s\"
}

# What a broker knows when it starts for the first time. What it has received since is newer, and stays.
";

/// A configuration that trusts this operator's token, and preloads these accounts by key and token.
pub(super) fn render(operator: &str, accounts: &[(String, String)]) -> String {
    let preload: String = accounts.iter().map(|(key, token)| format!("  {key}: \"{token}\"\n")).collect();
    format!(
        "{HEADER}\n{}\n# Who signs accounts; its token names the account that may look at the server itself.\n\
         operator: \"{operator}\"\n\n{RESOLVER}resolver_preload {{\n{preload}}}\n",
        settings()
    )
}

/// The settings of `nats.conf` that come before its accounts: JetStream, limits, log files.
fn settings() -> &'static str {
    let before = CONFIGURATION.split_once("\nsystem_account:").map_or(CONFIGURATION, |(before, _)| before);
    // The first paragraph describes the file, the last one introduces the accounts.
    let after = before.split_once("\n\n").map_or(before, |(_, after)| after);
    after.rsplit_once("\n\n").map_or(after, |(settings, _)| settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_one_configuration_and_accounts_are_not() {
        let settings: Vec<&str> = settings().lines().filter(|line| !line.trim().starts_with('#')).collect();
        let settings = settings.join("\n");
        for needed in ["jetstream {", "sync_interval", "max_connections", "logfile_size_limit"] {
            assert!(settings.contains(needed), "{needed} in {settings}");
        }
        for foreign in ["account", "include", "nkey"] {
            assert!(!settings.contains(foreign), "{foreign} in {settings}");
        }
    }
}
