//! The one line that starts an agent or a relay on its host.

use tidemap_service::cli;

/// The agent's own program if it is installed, else `tidemap`.
const PROGRAM: &str = "$(command -v tidemap-agent || echo tidemap agent)";

/// What the agent, or the relay, needs to know.
pub(super) struct Line {
    /// Where the broker is.
    pub(super) url: String,
    /// What proves who the agent is: the content of a file.
    pub(super) secret: String,
    /// How that file is called on its host.
    pub(super) file: &'static str,
    /// Whose certificates the broker shows (PEM), when it is not a public authority.
    pub(super) authority: Option<String>,
}

impl Line {
    /// An agent's line for a shell.
    pub(super) fn render(&self, node: &str, labels: &[String]) -> String {
        let labels: String = labels.iter().map(|label| option("--label", label)).collect();
        self.start(&format!("{PROGRAM}{}{labels}", option("--node", node)))
    }

    /// A relay's line.
    pub(super) fn render_relay(&self, relay: &str) -> String {
        self.start(&format!("tidemap relay{}", option("--name", relay)))
    }

    fn start(&self, program: &str) -> String {
        let (make_ca, use_ca) = match &self.authority {
            Some(pem) => (format!("{} && ", write(pem, "tidemap-ca.pem")), " --nats-ca tidemap-ca.pem"),
            None => (String::new(), ""),
        };
        format!(
            "umask 077 && {} && {make_ca}{program}{}{use_ca} --creds {}",
            write(&self.secret, self.file),
            option("--nats-url", &self.url),
            self.file,
        )
    }
}

/// Commands that write a text into a new file. An existing file is removed first, because it would keep its
/// permissions.
fn write(text: &str, file: &str) -> String {
    let print = match text.trim_end() {
        word if !word.contains('\n') => format!("echo {word}"),
        lines => format!("printf %b '{}\\n'", lines.replace('\n', "\\n")),
    };
    format!("rm -f {file} && {print} > {file}")
}

/// An option with its value. A value that begins with a dash would be taken for an option of its own.
fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!(" {name}{between}{}", cli::quoted(value))
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[cfg(unix)]
    #[test]
    fn the_line_starts_either_program_and_protects_its_secret() {
        use std::{fs, os::unix::fs::PermissionsExt, process::Command};
        let line = Line {
            url: "tls://broker:4222".to_owned(),
            secret: "SUSEED\n".to_owned(),
            file: "tidemap.nk",
            authority: Some("-----BEGIN\nAAA=\n-----END\n".to_owned()),
        };
        let line = line.render("web 01", &["role=it's".to_owned()]);
        for (installed, begins) in [
            (&["tidemap"][..], "tidemap agent --node web 01"),
            (&["tidemap-agent"], "tidemap-agent --node web 01"),
            (&["tidemap", "tidemap-agent"], "tidemap-agent --node web 01"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = |name: &str| folder.path().join(name);
            for program in installed {
                fs::write(file(program), "#!/bin/sh\necho \"${0##*/} $*\"\n").unwrap();
                fs::set_permissions(file(program), fs::Permissions::from_mode(0o755)).unwrap();
            }
            fs::write(file("tidemap.nk"), "old").unwrap();
            fs::set_permissions(file("tidemap.nk"), fs::Permissions::from_mode(0o644)).unwrap();
            let path = format!("{}:/usr/bin:/bin", folder.path().display());
            let shell = Command::new("sh")
                .args(["-c", &line])
                .current_dir(&folder)
                .env("PATH", path)
                .output()
                .unwrap();
            let printed = String::from_utf8(shell.stdout).unwrap();
            let rest = " --label role=it's --nats-url tls://broker:4222 --nats-ca tidemap-ca.pem --creds tidemap.nk\n";
            assert_eq!(printed, format!("{begins}{rest}"), "{:?}", String::from_utf8_lossy(&shell.stderr));
            assert_eq!(fs::read_to_string(file("tidemap.nk")).unwrap(), "SUSEED\n");
            assert_eq!(fs::read_to_string(file("tidemap-ca.pem")).unwrap(), "-----BEGIN\nAAA=\n-----END\n");
            let mode = fs::metadata(file("tidemap.nk")).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn whatever_a_node_is_called_a_shell_hands_it_on_unchanged() {
        use std::{fs, os::unix::fs::PermissionsExt, process::Command};

        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("tidemap-agent");
        fs::write(&program, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let line = Line {
            url: "nats://broker:4222".to_owned(),
            secret: "SUSEED\n".to_owned(),
            file: "tidemap.nk",
            authority: None,
        };
        let names =
            ["-dash", "--node", "~", "=x", "a b'c\"d", "$(id)", "`id`", "a\\b", "!x", "#1", "..", "🇭🇰 香港"];
        for name in names {
            let shell = Command::new("sh")
                .args(["-c", &line.render(name, &["-k=-v".to_owned()])])
                .current_dir(&folder)
                .env("PATH", &path)
                .output()
                .unwrap();
            let printed = String::from_utf8(shell.stdout).unwrap();
            let options = ["--node\n", "--node="];
            let value = options.iter().find_map(|option| printed.strip_prefix(option)).unwrap();
            assert!(value.starts_with(&format!("{name}\n--label=-k=-v\n")), "{name}: {printed}");
        }
    }
}
