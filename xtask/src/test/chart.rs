//! Checks the Helm chart by Helm, and what it makes by the schemas of Kubernetes. Whether a nats-server takes
//! its configuration is tested in `tests/e2e/tests/install/chart.rs`.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use super::tally::Tally;
use crate::{
    tools,
    workspace::{Workspace, output, run, status},
};

const CHART: &str = "deploy/helm/tidemap";
/// The version of Kubernetes against whose schemas the manifests are validated.
const KUBERNETES: &str = "1.34";
/// Installations of different kinds, by the settings that they have.
const KINDS: [(&str, &[&str]); 4] = [
    ("as it is", &[]),
    (
        "one broker, invited agents, below a path, with Prometheus",
        &[
            "broker.replicas=1",
            "agent.invite.existingSecret=tidemap-invite",
            "agent.labels.site=fra,agent.labels.note=a: b #1",
            "ingress.enabled=true,ingress.host=*.example.org,ingress.path=/tidemap/,ingress.tlsSecret=web",
            "serviceMonitor.enabled=true,serviceMonitor.labels.release=prometheus,serviceMonitor.tokenKey=read-token",
        ],
    ),
    (
        "agents outside, certificates and rules of the operator's own",
        &[
            "broker.tls.existingSecret=nats-tls,broker.service.type=LoadBalancer",
            "alerts.existingSecret=rules,alerts.plans=true,imagePullSecrets[0].name=registry",
            "ingress.enabled=true,ingress.host=tidemap.example.org,api.public=true",
        ],
    ),
    (
        "a broker elsewhere, and only what shows the present",
        &[
            "broker.enabled=false,broker.url=tls://nats.example.org:4222,ingest.streamReplicas=3",
            "history.enabled=false,alerts.enabled=false,enroller.enabled=false",
        ],
    ),
];
/// What is refused before anything is made.
const REFUSED: [&str; 9] = [
    "nosuch=1",
    "broker.replicas=2",
    "broker.storage=20GB",
    "broker.enabled=false",
    "ingest.diskBudget=18",
    "ingress.enabled=true",
    "ingress.enabled=true,ingress.host=a b",
    "broker.service.names[0]=a:b c",
    "agent.invite.existingSecret=A_b",
];
/// Of no version of Kubernetes: the Prometheus operator brings it.
const FOREIGN: &str = "\nkind: ServiceMonitor\n";

/// Checks all of it.
pub(super) fn check(workspace: &Workspace, checkers: &Path, tally: &mut Tally) -> Result<()> {
    let helm = match tools::ensure_helm(workspace) {
        Ok(folder) => folder.join("helm"),
        Err(error) => {
            println!("NOT CHECKED: the Helm chart, because there is no Helm: {error:#}");
            return Ok(());
        }
    };
    let known = fs::read_to_string(workspace.path("docs/configuration.md"))?;
    let folder = workspace.path("target/chart");
    fs::create_dir_all(&folder)?;
    for (number, (kind, settings)) in KINDS.into_iter().enumerate() {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        run(workspace.command(&helm).args(["lint", "--quiet", "--strict", CHART]).args(set.clone()))?;
        let mut template = workspace.command(&helm);
        let made = output(template.args(["template", "tidemap", CHART, "--namespace", "tidemap"]).args(set))?;
        if let Some(name) = variables(&made).find(|name| !known.contains(&format!("`{name}`"))) {
            bail!("{kind}: the chart sets {name}, which docs/configuration.md does not know");
        }
        let file = folder.join(format!("{number}.yaml"));
        let ours: Vec<&str> = made.split("\n---\n").filter(|part| !part.contains(FOREIGN)).collect();
        fs::write(&file, ours.join("\n---\n"))?;
        let mut validate = workspace.command(checkers.join("bin/kubernetes-validate"));
        validate.env("PYTHONPATH", checkers).args([
            "--quiet",
            "--strict",
            "--kubernetes-version",
            KUBERNETES,
        ]);
        run(validate.arg(&file))?;
        println!("chart, {kind}: {} manifests", ours.len());
        tally.passed += 1;
    }
    for setting in REFUSED {
        let mut template = workspace.command(&helm);
        template.args(["template", "tidemap", CHART, "--set", setting]);
        template.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        if status(&mut template)?.success() {
            bail!("the chart takes {setting}");
        }
        tally.passed += 1;
    }
    Ok(())
}

/// The variables of Tidemap's that manifests set.
fn variables(manifests: &str) -> impl Iterator<Item = &str> {
    let names = manifests.lines().filter_map(|line| line.trim().strip_prefix("- name: "));
    names.filter(|name| name.starts_with("TIDEMAP_"))
}
