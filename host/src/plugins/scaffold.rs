//! The files of a new rule's project: `rerate plugin new`.
//!
//! Everything comes from the binary, the SDK and the contract included, so that a project needs nothing of this repository. Nothing here
//! writes a file.

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// Longest name of a project: it becomes folder, crate and file names.
const NAME_BYTES: usize = 60;

/// Shorter ones collide with what compilers and their libraries call things.
const NAME_BYTES_MIN: usize = 3;

/// Names that some language or toolchain keeps for itself.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "async",
    "await",
    "become",
    "break",
    "build",
    "cases",
    "class",
    "const",
    "continue",
    "core",
    "crate",
    "def",
    "del",
    "dyn",
    "elif",
    "else",
    "enum",
    "except",
    "export",
    "extends",
    "extern",
    "false",
    "final",
    "finally",
    "fixed",
    "for",
    "from",
    "function",
    "gen",
    "global",
    "impl",
    "import",
    "lambda",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "module",
    "move",
    "mut",
    "new",
    "node-modules",
    "none",
    "nonlocal",
    "not",
    "null",
    "override",
    "package",
    "pass",
    "priv",
    "proc-macro",
    "pub",
    "raise",
    "ref",
    "rerate",
    "rerate-rule",
    "return",
    "rule",
    "sdk",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "switch",
    "test",
    "this",
    "throw",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "var",
    "virtual",
    "void",
    "where",
    "while",
    "with",
    "yield",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Rust,
    Js,
    Python,
}

/// What a project's rule does; one component may do several, a template starts with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Starter {
    /// Changes charges
    Adjust,
    /// Adds lines
    Charge,
    /// Reports findings
    Check,
}

impl Language {
    const fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
        }
    }
}

impl Starter {
    const fn folder(self) -> &'static str {
        match self {
            Self::Adjust => "adjust",
            Self::Charge => "charge",
            Self::Check => "check",
        }
    }

    /// A configuration in a chain's own notation.
    const fn config(self) -> &'static str {
        match self {
            Self::Adjust => r#"{ percent = "5", free = ["AWS Support"] }"#,
            Self::Charge => r#"{ percent = "3", least = "50.00" }"#,
            Self::Check => r#"{ tolerance = "1.00" }"#,
        }
    }

    const fn does(self) -> &'static str {
        match self {
            Self::Adjust => "changes charges",
            Self::Charge => "adds lines to the bill",
            Self::Check => "reports findings and changes nothing",
        }
    }
}

/// A file of a project: path from its folder, and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a rule's name has small letters, digits and single hyphens, begins with a letter and has at most {NAME_BYTES} characters")]
    Letters,
    #[error("`{0}` means something to a compiler already; take a longer name")]
    Reserved(String),
    #[error("a rule's name has at least {NAME_BYTES_MIN} letters")]
    Short,
}

/// # Errors
/// When a name cannot be a crate, a package and a folder alike.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if name.len() > NAME_BYTES || !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.split('-').all(word) {
        return Err(NameError::Letters);
    }
    if RESERVED.contains(&name) {
        return Err(NameError::Reserved(name.to_owned()));
    }
    if name.len() < NAME_BYTES_MIN {
        return Err(NameError::Short);
    }
    Ok(())
}

/// A name that is allowed and reads like one that is not: `my-rule` for `MyRule` and `my_rule`.
pub fn name_like(name: &str) -> Option<String> {
    let mut words = String::new();
    let mut was_small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && was_small {
            words.push('-');
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        words.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' });
    }
    let like = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    (like != name && name.is_ascii() && check_name(&like).is_ok()).then_some(like)
}

/// The files of a project that builds, by path.
///
/// # Errors
/// As [`check_name`].
pub fn project(name: &str, language: Language, starter: Starter) -> Result<Vec<File>, NameError> {
    check_name(name)?;
    let mut files = Vec::new();
    let folders = [
        (format!("{}/all/", language.folder()), String::new()),
        (format!("{}/{}/", language.folder(), starter.folder()), String::new()),
        (format!("cases/{}/", starter.folder()), "cases/".to_owned()),
    ];
    for (folder, into) in &folders {
        for (path, text) in embedded::TEMPLATES {
            if let Some(path) = path.strip_prefix(folder.as_str()) {
                files.push(File { path: format!("{into}{}", hidden(path)), text: fill(text, name, starter) });
            }
        }
    }
    let mut bring = |list: &[(&str, &str)], into: &str| {
        files.extend(list.iter().map(|(path, text)| File { path: format!("{into}/{path}"), text: (*text).to_owned() }));
    };
    match language {
        Language::Rust => {
            bring(embedded::RUST_SDK, "sdk/src");
            bring(embedded::WIT, "sdk/wit");
            for file in &mut files {
                if file.path.starts_with("sdk/src/wasm/") {
                    file.text = file.text.replace("\"../../wit", "\"wit"); // the contract lies beside the sources there
                }
            }
        }
        Language::Js => {
            bring(embedded::JS_SDK, "sdk");
            bring(embedded::WIT, "sdk/wit");
        }
        Language::Python => {
            bring(embedded::PYTHON_SDK, "rerate");
            bring(embedded::WIT, "rerate/wit");
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Templates have no hidden files, which tools would take for this repository's own.
fn hidden(path: &str) -> String {
    match path.split_once('/') {
        None if path == "gitignore" => format!(".{path}"),
        Some(("vscode", _)) => format!(".{path}"),
        _ => path.to_owned(),
    }
}

fn fill(text: &str, name: &str, starter: Starter) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    let type_name: String = name.split('-').map(capital).collect();
    let title = capital(&name.replace('-', " "));
    text.replace("{{name}}", name)
        .replace("{{ident}}", &name.replace('-', "_"))
        .replace("{{Type}}", &type_name)
        .replace("{{title}}", &title)
        .replace("{{kind}}", starter.folder())
        .replace("{{does}}", starter.does())
        .replace("{{config}}", starter.config())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn a_name_works_in_every_language_or_is_refused() {
        for name in ["my-rule", "a1b", "tiered-support-2"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "My-rule", "my_rule", "-rule", "rule-", "my--rule", "9rule", "../rule", "règle", &"a".repeat(61)] {
            assert_eq!(check_name(name), Err(NameError::Letters), "{name}");
        }
        for name in ["match", "std", "rerate-rule"] {
            assert_eq!(check_name(name), Err(NameError::Reserved(name.to_owned())));
        }
        assert_eq!(["x", "fn"].map(check_name), [Err(NameError::Short), Err(NameError::Short)]);
    }

    #[test]
    fn a_name_that_is_refused_has_one_like_it_where_that_is_plain() {
        let like = |name: &str| name_like(name).unwrap_or_default();
        assert_eq!(["MyRule", "my_rule", "My Rule 2", "a--b"].map(like), ["my-rule", "my-rule", "my-rule-2", "a-b"]);
        assert_eq!(["règle", "fn", "9rule", "", "x"].map(like), [""; 5]);
    }

    #[test]
    fn every_kind_in_every_language_has_a_rule_tests_cases_and_no_blank_left() {
        for language in Language::value_variants() {
            for starter in Starter::value_variants() {
                let files = project("tiered-support", *language, *starter).unwrap();
                let has = |part: &str| files.iter().any(|file| file.path.contains(part));
                for part in ["README.md", ".gitignore", "rule.wit", "cases/"] {
                    assert!(has(part), "{language:?} {starter:?} has no {part}");
                }
                for file in &files {
                    assert!(!file.text.contains("{{") || file.path.starts_with("sdk/src/"), "{language:?} {starter:?} {}", file.path);
                    assert!(!file.text.contains("workspace = true") && !file.text.contains("../../wit"), "{}", file.path);
                }
            }
        }
    }
}
