//! A rule's crate to a component.
//!
//! Two compilers can do it: a rustup toolchain that has the wasm32 target, or Debian's with its sources. The result depends on the
//! sources and the compiler, not on where the checkout lies. Nothing here installs anything; it says what to install.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BuildError, TARGET, lines, output};
use crate::sandbox::sections;

/// Stack of a rule: the default of 1 MiB would be touched memory in every instance.
const STACK_BYTES: u32 = 128 * 1024;

/// Which compiler makes wasm here.
enum Compiler {
    /// The rustup toolchain has the target.
    Rustup { sysroot: PathBuf },
    /// Debian's compiler builds the standard library from its sources.
    Debian { sources: PathBuf, linker: PathBuf },
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust";

/// Compiles the crate in `dir`, an absolute path.
pub(super) fn component(dir: &Path) -> Result<Vec<u8>, BuildError> {
    let compiler = find_compiler(dir)?;
    let package = find_package(dir)?;
    let module = compile(dir, &package, &compiler)?;
    let not_a_rule = |error: anyhow::Error| BuildError::NotARule(format!("{error:#}"));
    let table = lines::table(&module, &package.remapped(dir), &package.remapped(&package.source_dir)).map_err(not_a_rule)?;
    let mut component = componentize(&lines::strip(&module)).map_err(not_a_rule)?;
    sections::append(&mut component, sections::LINES, &table);
    Ok(component)
}

fn find_compiler(dir: &Path) -> Result<Compiler, BuildError> {
    let sysroot = sysroot(&std::env::var_os("RUSTC").unwrap_or_else(|| ON_PATH.into()), dir);
    let none = sysroot.as_os_str().is_empty();
    let rustlib = sysroot.join("lib/rustlib");
    if rustlib.join(TARGET).join("lib").is_dir() {
        return Ok(Compiler::Rustup { sysroot });
    }
    let sources = PathBuf::from(DEBIAN_SOURCES);
    if !Path::new(DEBIAN_RUSTC).exists() || !sources.join("library/std").is_dir() {
        return Err(if none { BuildError::NoRust } else { BuildError::NoCompiler });
    }
    // A rustup toolchain beside Debian's compiler has a linker too.
    let beside = self::sysroot(ON_PATH.as_ref(), dir).join("lib/rustlib");
    let inside = format!("{}-unknown-linux-gnu/bin/rust-lld", std::env::consts::ARCH);
    let candidates = [rustlib.join(&inside), beside.join(&inside), PathBuf::from(DEBIAN_LINKER)];
    let linker = candidates.into_iter().find(|path| path.exists()).ok_or_else(|| no_linker(Path::new(DEBIAN_LINKER)))?;
    Ok(Compiler::Debian { sources, linker })
}

const ON_PATH: &str = "rustc";

/// Debian's compiler comes with a link to a linker of one version, which is a package of its own.
const DEBIAN_LINKER: &str = "/usr/bin/rust-lld";

fn no_linker(link: &Path) -> BuildError {
    let named = std::fs::read_link(link).ok().and_then(|to| to.file_name().map(|name| name.to_string_lossy().into_owned()));
    let missing = link.display().to_string();
    match named {
        Some(package) => BuildError::NoLinker { missing: format!("{missing} -> {package}"), package },
        None => BuildError::NoLinker { missing, package: "rust-web-llvm lld".to_owned() },
    }
}

/// Where a compiler keeps its libraries; nowhere if there is none.
fn sysroot(rustc: &OsStr, dir: &Path) -> PathBuf {
    let asked = output(Command::new(rustc).args(["--print", "sysroot"]).current_dir(dir));
    let answer = asked.ok().filter(|answer| answer.status.success()).map(|answer| answer.stdout).unwrap_or_default();
    PathBuf::from(String::from_utf8_lossy(&answer).trim())
}

struct Package {
    /// File name of the library without its ending.
    library: String,
    target_dir: PathBuf,
    workspace_dir: PathBuf,
    /// Where the library's own sources are.
    source_dir: PathBuf,
}

/// What the workspace's folder is called in a component, wherever it lies.
const WORKSPACE: &str = "/rule";

impl Package {
    /// A folder as the compiler is told to name it.
    fn remapped(&self, folder: &Path) -> PathBuf {
        folder.strip_prefix(&self.workspace_dir).map_or_else(|_| folder.to_owned(), |inside| Path::new(WORKSPACE).join(inside))
    }
}

fn cargo(dir: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(dir);
    // What the outer cargo or the shell set must not reach a build that has to be the same everywhere.
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("CARGO_PROFILE_")
            || shown.starts_with("CARGO_ENCODED_")
            || shown.starts_with("CARGO_PKG_")
            || shown == "RUSTFLAGS"
        {
            command.env_remove(&name);
        }
    }
    command
}

fn find_package(dir: &Path) -> Result<Package, BuildError> {
    let manifest = dir.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NotACrate(dir.to_owned()));
    }
    let answer = output(cargo(dir).args(["metadata", "--no-deps", "--format-version", "1"])).map_err(|error| match error {
        BuildError::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => BuildError::NoCargo,
        error => error,
    })?;
    if !answer.status.success() {
        return Err(BuildError::Compile(String::from_utf8_lossy(&answer.stderr).into_owned()));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&answer.stdout).map_err(|_| BuildError::NotACrate(dir.to_owned()))?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let package = packages.iter().find(|package| Path::new(package["manifest_path"].as_str().unwrap_or_default()) == manifest);
    let targets = package.and_then(|package| package["targets"].as_array()).ok_or_else(|| BuildError::NotACrate(dir.to_owned()))?;
    let is_library = |target: &&serde_json::Value| {
        target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib" || kind == "cdylib" || kind == "rlib"))
    };
    let library = targets.iter().find(is_library).ok_or_else(|| BuildError::NotACrate(dir.to_owned()))?;
    Ok(Package {
        library: text(&library["name"]).replace('-', "_"),
        target_dir: PathBuf::from(text(&metadata["target_directory"])).join("components"),
        workspace_dir: PathBuf::from(text(&metadata["workspace_root"])),
        source_dir: PathBuf::from(text(&library["src_path"])).parent().map(Path::to_owned).unwrap_or_default(),
    })
}

fn compile(dir: &Path, package: &Package, compiler: &Compiler) -> Result<Vec<u8>, BuildError> {
    let mut command = cargo(dir);
    command
        .args(["rustc", "--quiet", "--lib", "--crate-type", "cdylib", "--release", "--target", TARGET, "--target-dir"])
        .arg(&package.target_dir);
    // The same options whatever the crate's own profile says: small, since every version of every rule is kept and embedded, but row
    // logic as fast as it gets.
    let profile = [
        ("OPT_LEVEL", "s"),
        ("LTO", "fat"),
        ("PANIC", "abort"),
        // `lines` makes the component's own table of what is in here, and takes it out.
        ("STRIP", "none"),
        ("CODEGEN_UNITS", "1"),
        ("DEBUG", "limited"),
        ("INCREMENTAL", "false"),
    ];
    for (name, value) in profile {
        command.env(format!("CARGO_PROFILE_RELEASE_{name}"), value);
    }
    // Amounts are 128 bits wide; without this feature each of their products is a call.
    let mut flags: Vec<OsString> =
        vec![format!("-Clink-arg=-zstack-size={STACK_BYTES}").into(), "-Ctarget-feature=+wide-arithmetic".into()];
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    };
    // The workspace's folder, not the crate's: the flags must be the same for all its rules, or each would build the library again.
    remap(&package.workspace_dir, WORKSPACE);
    if let Some(home) = cargo_home() {
        remap(&home, "/cargo");
    }
    match compiler {
        Compiler::Rustup { sysroot } => remap(sysroot, "/rust"),
        Compiler::Debian { sources, linker } => {
            remap(sources, "/rust");
            command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", DEBIAN_RUSTC).env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            command.arg("-Zbuild-std=std,panic_abort");
        }
    }
    // Encoded, so that a path with a space stays one flag.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(&OsString::from("\x1f")));
    let answer = output(&mut command)?;
    if !answer.status.success() {
        return Err(BuildError::Compile(of_author(&String::from_utf8_lossy(&answer.stderr))));
    }
    let module = package.target_dir.join(TARGET).join("release").join(&package.library).with_extension("wasm");
    std::fs::read(&module).map_err(|source| BuildError::File { path: module, source })
}

/// What the compiler says of the project, without what it says of the flags above.
fn of_author(said: &str) -> String {
    let blocks = said.split("\n\n").filter(|block| !block.trim_start().starts_with("warning: unstable feature specified"));
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
}

/// The module with the contract's types, which the SDK's bindings left in it.
fn componentize(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    wit_component::ComponentEncoder::default().module(module)?.validate(true).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_that_is_missing_is_named_by_the_package_that_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("rust-lld");
        assert!(no_linker(&link).to_string().contains("`apt-get install rust-web-llvm lld`"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("lld-22", &link).unwrap();
            let told = no_linker(&link).to_string();
            assert!(told.contains("rust-lld -> lld-22, which is not installed: `apt-get install lld-22`"), "{told}");
        }
    }

    #[test]
    fn a_compilers_word_on_our_own_flags_is_not_the_authors_concern() {
        let said = "warning: unstable feature specified for `-Ctarget-feature`: `wide-arithmetic`\n  |\n  = note: not stable\n\n\
                    error[E0425]: cannot find function\n --> src/lib.rs:5:1\n";
        assert_eq!(of_author(said), "error[E0425]: cannot find function\n --> src/lib.rs:5:1\n");
    }
}
