//! Which new subaccounts of a dedicated integration are left to nobody: globs over the id and the name, separated by commas.

use super::{MAX_TEXT, Result, StoreError};

/// Patterns of one expression.
const MAX_PATTERNS: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exclude(Vec<Vec<char>>);

impl Exclude {
    /// `*` stands for any characters, `?` for one; case does not matter. An empty text excludes nothing.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            return Err(StoreError::Invalid(format!("exclude has more than {MAX_TEXT} bytes or control characters")));
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let patterns: Vec<Vec<char>> = text.split(',').map(|part| part.trim().to_lowercase().chars().collect()).collect();
        if patterns.len() > MAX_PATTERNS {
            return Err(StoreError::Invalid(format!("exclude has {} patterns; at most {MAX_PATTERNS}", patterns.len())));
        }
        if let Some(place) = patterns.iter().position(Vec::is_empty) {
            return Err(StoreError::Invalid(format!("exclude: pattern {} of {text:?} is empty", place + 1)));
        }
        Ok(Self(patterns))
    }

    pub(super) fn matches(&self, id: &str, name: &str) -> bool {
        let texts = [id, name].map(|text| text.to_lowercase().chars().collect::<Vec<char>>());
        self.0.iter().any(|pattern| texts.iter().any(|text| is_match(pattern, text)))
    }
}

/// Goes back to the last star only, so it takes no more steps than pattern times text.
fn is_match(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_looks_at_the_id_and_at_the_whole_name_whatever_its_case() {
        let excluded = |text: &str, id: &str, name: &str| Exclude::parse(text).unwrap().matches(id, name);
        assert!(excluded("sandbox-*", "111", "Sandbox-7"));
        assert!(!excluded("sandbox", "111", "sandbox-7") && !excluded("sandbox-*", "111", "my sandbox-7"));
        assert!(excluded("*-test , 99?", "991", "anything") && excluded("*-test , 99?", "1", "a-test"));
        assert!(!excluded("99?", "99", "x") && !excluded("", "1", "a"));
        assert!(excluded("*a*b*c", "xaxbxbxc", "") && !excluded("*a*b*c", "xaxbxbx", ""));
        assert!(excluded("*", "", ""));
    }

    #[test]
    fn an_expression_with_a_hole_is_refused() {
        assert_eq!(Exclude::parse("a,,b").unwrap_err().to_string(), "exclude: pattern 2 of \"a,,b\" is empty");
        assert!(Exclude::parse(&"a,".repeat(101)).is_err() && Exclude::parse("a\nb").is_err());
    }

    #[test]
    fn many_stars_end_soon() {
        let pattern = "*a".repeat(50) + "b";
        assert!(!Exclude::parse(&pattern).unwrap().matches(&"a".repeat(5_000), ""));
    }
}
