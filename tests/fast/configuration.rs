//! The shipped file and the reference say what the keys' declarations say.

use crate::golden::assert_golden;
use makegood::config;

#[test]
fn the_shipped_file_and_the_reference_are_made_from_the_declarations() {
    assert_golden("deploy/makegood.toml", &config::shipped());
    assert_golden("docs/reference/configuration.md", &config::reference());
}

/// What the cluster's ConfigMap holds is a configuration, and names a mapping that is mounted beside it.
#[test]
fn the_configuration_for_kubernetes_is_good() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let objects = include_str!("../../deploy/kubernetes/makegood.yaml");
    let (_, rest) = objects.split_once("  makegood.toml: |\n").unwrap();
    let inside = rest.lines().take_while(|line| line.starts_with("    "));
    let text: String = inside.map(|line| format!("{}\n", &line[4..])).collect();
    let folder = std::env::temp_dir().join(format!("makegood-cluster-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("makegood.toml"), text).unwrap();
    let mapping = folder.join("purchases");
    let _ = std::os::unix::fs::symlink(root.join("sql/purchases"), &mapping);
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_makegood"))
        .args(["config", "check", "--config"])
        .arg(folder.join("makegood.toml"))
        .env("MAKEGOOD_HTTP_TOKEN", "0123456789abcdef0123456789abcdef")
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert!(checked.status.success() && said.contains("is fine"), "{said}");
}
