//! The list of what a release contains, for programs that look for known weaknesses: `CycloneDX` 1.5, JSON.

use anyhow::Result;
use serde_json::{Value, json};

use super::{components::Component, identity::Identity, platform::Platform};

/// The document for the programs of one platform.
pub(super) fn document(
    identity: &Identity,
    platform: Platform,
    program: &str,
    components: &[Component],
) -> Result<String> {
    let itself = format!("pkg:generic/{program}@{}?arch={}", identity.version, platform.arch);
    let references: Vec<String> = components.iter().map(Component::url).collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": format!("{}T00:00:00Z", identity.date),
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": program,
                "version": identity.version,
                "purl": itself,
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            },
        },
        "components": components.iter().map(described).collect::<Vec<_>>(),
        "dependencies": [{ "ref": itself, "dependsOn": references }],
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn described(component: &Component) -> Value {
    let mut described = json!({
        "type": "library",
        "bom-ref": component.url(),
        "name": component.name,
        "version": component.version,
        "purl": component.url(),
    });
    if let Some(licence) = &component.licence {
        described["licenses"] = json!([{ "expression": licence }]);
    }
    if let Some(checksum) = &component.checksum {
        described["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    described
}
