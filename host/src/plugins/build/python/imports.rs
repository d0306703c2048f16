//! Whether a Python project is made of its own modules alone, and of Python's.
//!
//! This is no parser: whatever it does not understand counts as a package from elsewhere.

use std::io;
use std::path::Path;

/// Modules that come with the compiler: those of Python that a rule has a use for, and those made from the contract.
const KNOWN: [&str; 32] = [
    "__future__",
    "abc",
    "base64",
    "bisect",
    "calendar",
    "collections",
    "componentize_py_types",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "inspect",
    "io",
    "itertools",
    "json",
    "math",
    "operator",
    "os",
    "pathlib",
    "re",
    "statistics",
    "string",
    "typing",
    "unittest",
    "wit_world",
];

/// Looks at every module below the folder.
pub(super) fn are_of_project(folder: &Path) -> io::Result<bool> {
    is_of(folder, folder)
}

fn is_of(project: &Path, folder: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let fine = if path.is_dir() { is_of(project, &path)? } else { is_own(project, &std::fs::read_to_string(&path)?) };
        if !fine {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_own(project: &Path, module: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    // `importlib` and `__import__` are words of their own.
    let imports = |line: &&str| line.split(|c| !is_word(c)).any(|word| word.contains("import"));
    let is_known = |name: &str| {
        let root = name.split('.').next().unwrap_or_default();
        KNOWN.contains(&root) || project.join(root).is_dir() || project.join(format!("{root}.py")).is_file()
    };
    module.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter(imports).all(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            _ if line.contains(';') => false,
            ["from", name, "import", ..] => name.starts_with('.') || is_known(name),
            ["import", name] | ["import", name, "as", _] => is_known(name),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_of_its_own_modules_and_pythons_is_told_from_one_with_packages() {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join("sdk")).unwrap();
        let is_own = |text: &str| {
            std::fs::write(project.path().join("rule.py"), text).unwrap();
            are_of_project(project.path()).unwrap()
        };
        for own in [
            "",
            "from . import rules\nfrom .rules import (\n    Rule,\n)\n",
            "import json\nimport os.path as path\n",
            "from decimal import Decimal\nfrom sdk.plan import Plan\n    import sdk\n",
            "# import numpy\n",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "import numpy\n",
            "import json, numpy\n",
            "from yaml import load\n",
            "import json; import yaml\n",
            "yaml = __import__('yaml')\n",
            "from importlib import import_module\n",
            "exec('import yaml')\n",
            "import \\\n    yaml\n",
        ] {
            assert!(!is_own(other), "{other}");
        }
        std::fs::write(project.path().join("sdk/more.py"), "import yaml").unwrap();
        assert!(!is_own(""));
    }
}
