//! What is wrong with a text, and where in it.

use rerate_rule::ConfigError;

/// Characters of a text, counted from one; `end` is the one after the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) const fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) span: Span,
    pub(crate) message: String,
}

/// Characters of the text that a complaint repeats.
const SHOWN_MAX: usize = 40;

impl Problem {
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// As the configuration's owner reads it: `character 12, "ListCosts": there is no column ListCosts; did you mean ListCost?`
    pub(crate) fn in_text(self, text: &str, pointer: &str) -> ConfigError {
        let from = self.span.start.saturating_sub(1) as usize;
        let length = self.span.end.saturating_sub(self.span.start) as usize;
        let shown: String = text.chars().skip(from).take(length.min(SHOWN_MAX)).collect();
        let shown = match shown.as_str() {
            "" => String::new(),
            shown if length > SHOWN_MAX => format!(", \"{shown}...\""),
            shown => format!(", \"{shown}\""),
        };
        ConfigError::at(pointer, format!("character {}{shown}: {}", self.span.start, self.message))
    }
}

/// The closest of `names` to what was written, if one is close enough to have been meant.
pub(crate) fn closest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing grows with the product of the lengths, and no name is this long.
    if written.chars().count() > 60 {
        return None;
    }
    let folded = written.to_lowercase();
    let allowed = (folded.chars().count() / 3).clamp(1, 4);
    names
        .map(|name| (distance(&folded, &name.to_lowercase()), name))
        .min()
        .filter(|(distance, _)| *distance <= allowed)
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that make one word the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = last;
        last = row;
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_name_is_recognised_and_another_word_is_not() {
        let names = ["ListCost", "BilledCost", "EffectiveCost", "ServiceName"];
        for (written, meant) in [
            ("ListCosts", Some("ListCost")),
            ("listcost", Some("ListCost")),
            ("BiledCost", Some("BilledCost")),
            ("SreviceName", Some("ServiceName")),
            ("Compute", None),
            ("", None),
        ] {
            assert_eq!(closest(written, names.into_iter()), meant, "{written}");
        }
    }
}
