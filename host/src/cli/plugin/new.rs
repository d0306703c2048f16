//! `rerate plugin new`: a project that builds, with everything it needs inside.

use std::path::{Path, PathBuf};

use crate::cli::{Failure, output};
use crate::plugins::scaffold::{self, Language, Starter};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin new tiered-support --lang rust --kind charge
  rerate plugin new tag-discount --lang js                      changes charges
  rerate plugin new no-losses --lang python --kind check --dir rules";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rule's name: small letters, digits and hyphens
    #[arg(value_name = "NAME")]
    name: String,
    /// The language to write it in
    #[arg(long, value_enum)]
    lang: Language,
    /// What the rule does
    #[arg(long, value_enum, default_value_t = Starter::Adjust)]
    kind: Starter,
    /// Where to make the project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let files = scaffold::project(&args.name, args.lang, args.kind).map_err(|error| {
        let failure = Failure::input(format!("{:?}: {error}", args.name));
        match scaffold::name_like(&args.name) {
            Some(name) => failure.next(name),
            None => failure,
        }
    })?;
    let here = args.dir == Path::new(".");
    let folder = if here { PathBuf::from(&args.name) } else { args.dir.join(&args.name) };
    let failed = |path: &Path, error: std::io::Error| Failure::input(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&args.dir).map_err(|error| failed(&args.dir, error))?;
    // Made here and nowhere before, so that nothing of anybody's is written over.
    std::fs::create_dir(&folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::input(format!("{} is there already", folder.display())).next("another name, or another --dir")
        }
        _ => failed(&folder, error),
    })?;
    for file in &files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        std::fs::write(&path, &file.text).map_err(|error| failed(&path, error))?;
    }
    let at = folder.display();
    let (rule, tests) = match args.lang {
        Language::Rust => ("src/lib.rs", "cargo test"),
        Language::Js => ("rule.js", "npm test"),
        Language::Python => ("rule.py", "python3 -m unittest"),
    };
    output::print(&format!("{at}/{rule} is the rule; {at}/README.md says what it can do\n"));
    output::print(&format!("  cd {at}"));
    output::print(&format!("  {tests:24} its tests, natively"));
    if let Some(install) = match args.lang {
        Language::Rust => None,
        Language::Js => Some("npm install"),
        Language::Python => Some("pip install componentize-py"),
    } {
        output::print(&format!("  {install:24} once, for the component"));
    }
    output::print("  rerate plugin build      the component");
    output::print("  rerate plugin test       its golden cases, in the sandbox");
    Ok(())
}
