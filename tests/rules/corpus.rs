//! Hostile and malformed components, one by one: each is refused or fails, or is harmless; none crashes, hangs or leaks, and a good rule
//! is rated behind each class of them. Run with `--nocapture` for the figures.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on fails here, and its figures are for people

mod cases;
// Hand-written components are made by the sandbox's own tests' encoder.
#[allow(dead_code, unreachable_pub)]
#[path = "../../host/src/sandbox/tests/guest.rs"]
mod guest;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rerate::domain::columns::Dictionary;
use rerate::domain::rule::{BillPeriod, Capability, RuleMoney, RuleText};
use rerate::sandbox::{CHILD_COMMAND, Compile, Limits, Plugin, RuleFailure, Sandbox, SandboxOptions, compile_child_main};
use rerate_tests::components::BUILTINS;

use cases::{Case, Expect};

/// The longest that one component may keep the host busy, on a machine that has other work too.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a corpus of some hundred components, compiled and dropped again, may leave behind.
const LEFT_BYTES: u64 = 256 << 20;

fn period() -> BillPeriod {
    BillPeriod { period: "2026-09".parse().unwrap(), currency: "USD".to_owned() }
}

/// What a hostile component gets to be compiled in a process of its own.
const COMPILE_WITHIN: Duration = Duration::from_millis(1_500);

fn sandbox(compile: Compile, compile_deadline: Duration) -> Sandbox {
    let limits = Limits {
        fuel_base: 30_000_000,
        deadline: Duration::from_secs(1),
        memory_bytes: 16 << 20,
        instances: 16,
        compile_deadline,
        compile_bytes: 512 << 20,
        ..Limits::default()
    };
    Sandbox::new(SandboxOptions { limits, compile, ..SandboxOptions::default() }).unwrap()
}

/// This program, as the compiler of a daemon.
fn compiler(folder: &Path) -> Compile {
    let path = folder.join("compiler");
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\ntest \"$1\" = {CHILD_COMMAND} || exit 1\nRERATE_TEST_COMPILE=\"$2 $3\" exec '{}' --exact child --ignored --test-threads=1\n",
        this.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Compile::Child(path)
}

/// Not a test of its own: what the compiler above runs.
#[test]
#[ignore = "runs inside the child of the test below"]
fn child() {
    let paths: Vec<_> = std::env::var("RERATE_TEST_COMPILE").unwrap().split(' ').map(Into::into).collect();
    compile_child_main(&paths).unwrap();
}

/// What became of a component.
#[derive(Debug)]
enum Fate {
    Refused(String),
    Failed(String),
    Answered,
}

fn meet(sandbox: &Sandbox, component: &[u8]) -> Fate {
    let plugin = match sandbox.load(component) {
        Ok(plugin) => plugin,
        Err(refusal) => return Fate::Refused(refusal.to_string()),
    };
    match use_all(&plugin) {
        Ok(()) => Fate::Answered,
        Err(failure) => Fate::Failed(failure.to_string()),
    }
}

/// Every export once, as rating calls them.
fn use_all(plugin: &Plugin) -> Result<(), RuleFailure> {
    if let Err(rerate::sandbox::ConfigureError::Failed(failure)) = plugin.configure("{}", &period()) {
        return Err(failure);
    }
    for capability in plugin.capabilities() {
        match capability {
            Capability::Adjust => {
                let mut rater = plugin.open("{}", &period(), &[])?;
                let services: Dictionary = ["Amazon EC2", "Amazon S3"].into_iter().collect();
                let decisions = rater.decide(&[RuleText { new_values: services, codes: vec![0, 1, RuleText::NULL] }])?;
                assert_eq!(decisions.len(), 3);
                for money in [RuleMoney::Narrow { scale: 2, units: vec![1, -2, 3] }, RuleMoney::Wide { scale: 18, units: vec![1, -2, 3] }] {
                    let amounts = match rater.apply(&[0, 1, 2], &[money])? {
                        RuleMoney::Narrow { units, .. } => units.len(),
                        RuleMoney::Wide { units, .. } => units.len(),
                    };
                    assert_eq!(amounts, 3);
                }
            }
            Capability::Charge => drop(plugin.charge("{}", &period(), &[], &[])?),
            Capability::Check => drop(plugin.check("{}", &period(), &[])?),
        }
    }
    Ok(())
}

/// A line of the process table's account of this process.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().unwrap_or(0)
}

/// Processes that this one has started and that are still there; Linux only.
fn children() -> usize {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default().split_whitespace().count()).sum()
}

#[derive(Default)]
struct Figures {
    cases: usize,
    refused: usize,
    failed: usize,
    harmless: usize,
    slowest: Duration,
    slowest_name: String,
    example: String,
}

#[test]
fn no_component_crashes_hangs_or_leaks_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let here = sandbox(Compile::InProcess, COMPILE_WITHIN);
    let in_child = sandbox(compiler(folder.path()), COMPILE_WITHIN);
    // That this compiler works is found out without haste.
    let patient = sandbox(compiler(folder.path()), Limits::default().compile_deadline);
    let markup = fs::read(BUILTINS.component("markup")).unwrap();
    // What a good rule may take is not what is tested here: a busy machine is no fault of it.
    let good = here.load(&markup).unwrap().with(Limits::default(), None);
    let rate = |after: &str| {
        let decisions = good.open(r#"{"percent":"30"}"#, &period(), &[]).unwrap().decide(&[]).unwrap();
        assert_eq!(decisions.len(), 1, "after {after}");
    };
    // The compiler's threads and the runtime's own tables are there from here on.
    for sandbox in [&here, &patient] {
        let fate = meet(sandbox, &guest::Guest::charging().build());
        assert!(!matches!(fate, Fate::Refused(_)), "{fate:?}");
    }
    let (threads, resident) = (status("Threads"), status("VmRSS") << 10);

    let mut table: BTreeMap<&str, Figures> = BTreeMap::new();
    let mut met = BTreeSet::new();
    for Case { class, name, component, expect, in_child: apart } in cases::all() {
        if !met.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(&component)) {
            continue;
        }
        let began = Instant::now();
        let fate = meet(if apart { &in_child } else { &here }, &component);
        let took = began.elapsed();
        assert!(took < PATIENCE, "{class}, {name}: took {took:?}");
        let figures = table.entry(class).or_default();
        let said = match &fate {
            Fate::Refused(reason) => (&mut figures.refused, reason.as_str()),
            Fate::Failed(reason) => (&mut figures.failed, reason.as_str()),
            Fate::Answered => (&mut figures.harmless, ""),
        };
        *said.0 += 1;
        figures.cases += 1;
        if figures.example.is_empty() {
            figures.example = format!("{name}: {}", said.1).chars().take(110).collect();
        }
        if took >= figures.slowest {
            (figures.slowest, figures.slowest_name) = (took, name.clone());
        }
        let as_expected = match expect {
            Expect::Refused => matches!(fate, Fate::Refused(_)),
            Expect::Failed => matches!(fate, Fate::Failed(_)),
            Expect::Stopped => !matches!(fate, Fate::Answered),
            Expect::Answered => matches!(fate, Fate::Answered),
            Expect::Harmless => true,
        };
        assert!(as_expected, "{class}, {name}: expected {expect:?}, not {fate:?}");
        rate(&name);
    }

    println!("{:24} {:>5} {:>7} {:>6} {:>8} {:>9}  slowest", "class", "cases", "refused", "failed", "harmless", "slowest");
    for (class, figures) in &table {
        let Figures { cases, refused, failed, harmless, slowest, slowest_name, example } = figures;
        println!("{class:24} {cases:>5} {refused:>7} {failed:>6} {harmless:>8} {:>6} ms  {slowest_name}", slowest.as_millis());
        println!("{:24} {example}", "");
    }
    let cases: usize = table.values().map(|figures| figures.cases).sum();
    let (threads_after, resident_after) = (status("Threads"), status("VmRSS") << 10);
    println!("{cases} components; threads {threads} -> {threads_after}; resident {} -> {} MiB", resident >> 20, resident_after >> 20);
    assert!(cases >= 60);
    assert_eq!(children(), 0, "a compiler is left");
    assert!(threads_after <= threads + 2, "{threads} -> {threads_after} threads");
    assert!(resident_after < resident + LEFT_BYTES, "{resident} -> {resident_after} bytes");

    // No instance is still held: the pool gives all of its slots at once, again and again.
    for _ in 0..3 {
        let raters: Vec<_> = (0..16).map(|_| good.open(r#"{"percent":"30"}"#, &period(), &[]).unwrap()).collect();
        assert_eq!(raters.len(), 16);
    }
}
