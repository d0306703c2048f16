//! The map of ARCHITECTURE.md, held against the `use` lines: edges point one way, and each outside engine has one user.

use std::path::{Path, PathBuf};

use crate::run::root;

/// A module and the modules of the crate that it may name.
const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("telemetry", &[]),
    ("clock", &["domain"]),
    ("events", &["domain", "clock"]),
    ("depot", &[]),
    ("bills", &["domain"]),
    ("generate", &["domain", "bills"]), // its tests read back what it made
    ("sandbox", &["domain"]),
    ("rating", &["domain", "sandbox"]),
    ("lake", &["domain", "depot"]),
    ("store", &["domain", "clock"]),
    ("secrets", &["clock"]),
    ("signin", &[]),
    ("plugins", &["domain", "clock", "events", "depot", "sandbox", "store", "rating"]),
    ("jobs", &["domain", "telemetry", "clock", "events", "depot", "bills", "sandbox", "rating", "lake", "store", "plugins", "secrets"]),
    (
        "http",
        &[
            "domain",
            "telemetry",
            "clock",
            "events",
            "depot",
            "bills",
            "sandbox",
            "rating",
            "lake",
            "store",
            "plugins",
            "jobs",
            "secrets",
            "signin",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "telemetry",
            "clock",
            "events",
            "depot",
            "bills",
            "generate",
            "sandbox",
            "rating",
            "lake",
            "store",
            "plugins",
            "jobs",
            "http",
            "secrets",
            "signin",
        ],
    ),
];

/// A crate from outside and the modules that may use it.
const ENGINES: &[(&str, &[&str])] = &[
    ("wasmtime", &["sandbox"]),
    ("sqlx", &["store"]),
    ("parquet", &["lake", "bills", "generate"]),
    ("object_store", &["depot", "jobs"]),
    ("axum", &["http", "cli"]),
    ("boon", &["plugins"]),
    ("reqwest", &["cli", "signin"]),
    ("lettre", &["signin"]),
    ("serde_saphyr", &["cli"]),
    ("prometheus_client", &["http"]),
    ("rustix", &["sandbox"]),
    ("thread_priority", &["jobs"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("ring", &["plugins", "secrets", "signin"]),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            rust_files(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
}

/// Calls `check` with each source line that is not a comment, its file and its module.
fn each_line(mut check: impl FnMut(&str, &Path, &str)) {
    let source = root().join("host/src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 50);
    for file in files {
        let inside = file.strip_prefix(&source).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        for line in std::fs::read_to_string(&file).unwrap().lines().filter(|line| !line.trim_start().starts_with("//")) {
            check(&module, inside, line);
        }
    }
}

#[test]
fn modules_name_only_what_lies_below_them() {
    let mut upward = Vec::new();
    each_line(|module, file, line| {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == module) else { return };
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let named: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let is_module = EDGES.iter().any(|(name, _)| *name == named);
            if is_module && named != module && !allowed.contains(&named.as_str()) {
                upward.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    });
    assert!(upward.is_empty(), "edges that point up:\n{}", upward.join("\n"));
}

#[test]
fn every_module_has_its_place() {
    each_line(|module, file, _| {
        let placed = EDGES.iter().any(|(name, _)| *name == module) || ["main", "lib"].contains(&module);
        assert!(placed, "{} is in no layer; give {module} its edges here and its line in ARCHITECTURE.md", file.display());
    });
}

#[test]
fn each_engine_has_its_users_and_no_others() {
    let mut strays = Vec::new();
    each_line(|module, file, line| {
        for (engine, users) in ENGINES {
            let path = format!("{engine}::");
            let names = |(at, _): (usize, &str)| !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_');
            let used = line.match_indices(&path).any(names) || line.trim().starts_with(&format!("use {engine}"));
            if used && !users.contains(&module) {
                strays.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    });
    assert!(strays.is_empty(), "engines used outside their module:\n{}", strays.join("\n"));
}
