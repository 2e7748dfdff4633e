//! Who may depend on whom: the workspace's layers, held by a test so that they are not a matter of attention.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What each of our packages depends on by name, its own tests aside.
fn dependencies(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let of = |package: &cargo_metadata::Package| {
        let kept =
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        kept.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.workspace_packages().iter().map(|package| (package.name.to_string(), of(package))).collect()
}

fn workspace() -> Metadata {
    MetadataCommand::new()
        .no_deps()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .exec()
        .unwrap()
}

/// Services: they know ports and never what stands behind them.
const SERVICES: &[&str] =
    &["verbatim-gateway", "verbatim-recorder", "verbatim-search-indexer", "verbatim-web"];
/// Adapters: each knows one engine.
const ADAPTERS: &[&str] = &[
    "verbatim-sqlite",
    "verbatim-log-sqlite",
    "verbatim-archive-sqlite",
    "verbatim-search-sqlite",
    "verbatim-log-nats",
    "verbatim-archive-postgres",
    "verbatim-search-meilisearch",
];
/// Knowledge without input and output.
const PURE: &[&str] = &[
    "verbatim-core",
    "verbatim-proto",
    "verbatim-dialects",
    "verbatim-archive-format",
    "verbatim-search-text",
];
/// Clients of engines.
const ENGINES: &[&str] = &[
    "rusqlite",
    "refinery",
    "libsqlite3-sys",
    "async-nats",
    "nkeys",
    "tokio-postgres",
    "tokio-postgres-rustls",
    "deadpool-postgres",
    "meilisearch-sdk",
];
/// Who alone names a client.
const CLIENTS: &[(&str, &str)] = &[
    ("async-nats", "verbatim-log-nats"),
    ("tokio-postgres", "verbatim-archive-postgres"),
    ("tokio-postgres-rustls", "verbatim-archive-postgres"),
    ("deadpool-postgres", "verbatim-archive-postgres"),
    ("meilisearch-sdk", "verbatim-search-meilisearch"),
];
/// What does input and output, or runs what does.
const RUNTIMES: &[&str] = &[
    "tokio",
    "tokio-util",
    "tokio-stream",
    "hyper",
    "hyper-util",
    "hyper-rustls",
    "rustls",
    "axum",
    "reqwest",
    "tower",
    "rustix",
    "mio",
];
const COMPOSITION_ROOT: &str = "verbatim";

/// Those of `packages` that depend on any of `forbidden`, with what they depend on.
fn offenders(packages: &BTreeMap<String, BTreeSet<String>>, who: &[&str], forbidden: &[&str]) -> Vec<String> {
    let among = packages.iter().filter(|(name, _)| who.contains(&name.as_str()));
    among
        .flat_map(|(name, on)| {
            let wrong = on.iter().filter(|on| forbidden.contains(&on.as_str()));
            wrong.map(move |on| format!("{name} depends on {on}"))
        })
        .collect()
}

#[test]
fn every_package_named_here_exists() {
    let packages = dependencies(&workspace());
    let named = SERVICES.iter().chain(ADAPTERS).chain(PURE).chain([&COMPOSITION_ROOT, &"verbatim-testkit"]);
    let missing: Vec<_> = named.filter(|name| !packages.contains_key(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn services_depend_on_ports_and_never_on_adapters_or_each_other() {
    let packages = dependencies(&workspace());
    assert_eq!(offenders(&packages, SERVICES, ADAPTERS), Vec::<String>::new());
    assert_eq!(offenders(&packages, SERVICES, SERVICES), Vec::<String>::new());
}

#[test]
fn only_adapters_name_their_engine() {
    let packages = dependencies(&workspace());
    let others: Vec<&str> =
        packages.keys().map(String::as_str).filter(|name| !ADAPTERS.contains(name)).collect();
    assert_eq!(offenders(&packages, &others, ENGINES), Vec::<String>::new());
}

#[test]
fn each_client_is_named_by_one_adapter_alone() {
    let packages = dependencies(&workspace());
    for (client, adapter) in CLIENTS {
        let named_by: Vec<&str> =
            packages.iter().filter(|(_, on)| on.contains(*client)).map(|(name, _)| name.as_str()).collect();
        assert_eq!(named_by, [*adapter], "who names {client}");
    }
}

#[test]
fn only_the_composition_root_uses_adapters_and_services() {
    let packages = dependencies(&workspace());
    let measuring = "bench";
    let others: Vec<&str> = packages
        .keys()
        .map(String::as_str)
        .filter(|name| ![COMPOSITION_ROOT, measuring].contains(name) && !ADAPTERS.contains(name))
        .collect();
    assert_eq!(offenders(&packages, &others, ADAPTERS), Vec::<String>::new());
    assert_eq!(offenders(&packages, &others, SERVICES), Vec::<String>::new());
    assert_eq!(offenders(&packages, ADAPTERS, SERVICES), Vec::<String>::new());
}

#[test]
fn words_wire_and_dialects_do_no_input_and_output() {
    let packages = dependencies(&workspace());
    assert_eq!(offenders(&packages, PURE, RUNTIMES), Vec::<String>::new());
    assert_eq!(offenders(&packages, PURE, ENGINES), Vec::<String>::new());
    assert_eq!(
        offenders(&packages, &["verbatim-core"], &["verbatim-proto", "verbatim-dialects"]),
        Vec::<String>::new()
    );
    assert_eq!(offenders(&packages, &["verbatim-proto"], &["verbatim-dialects"]), Vec::<String>::new());
}

#[test]
fn the_gateway_does_not_know_what_answers_mean() {
    let packages = dependencies(&workspace());
    assert_eq!(offenders(&packages, &["verbatim-gateway"], &["verbatim-dialects"]), Vec::<String>::new());
}

#[test]
fn the_testkit_is_for_tests_and_measurements() {
    let packages = dependencies(&workspace());
    let others: Vec<&str> = packages.keys().map(String::as_str).filter(|name| *name != "bench").collect();
    assert_eq!(offenders(&packages, &others, &["verbatim-testkit"]), Vec::<String>::new());
}
