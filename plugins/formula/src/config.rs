//! The configuration as written: cases of texts.

use std::collections::BTreeMap;

use rerate_rule::{ConfigError, Where};
use serde::Deserialize;

use crate::check;
use crate::columns::WRITABLE;
use crate::number::SCALE;
use crate::problem::{Problem, Span, closest};
use crate::program::{Mode, Number, Test, Text};

/// Cases of one configuration: more is a price list, which belongs into a rule of its own.
const CASES_MAX: usize = 100;
/// Bytes of a reason; it is stored with every charge's provenance.
const REASON_BYTES_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    when: Option<String>,
    amount: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    treatment: Option<Treatment>,
    reason: Option<String>,
    #[serde(default)]
    cases: Vec<Written>,
    #[serde(default)]
    pub(crate) round: Round,
    #[serde(default, rename = "where")]
    pub(crate) conditions: Where,
}

/// One of `cases`, or the fields beside it where there is just one.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    when: Option<String>,
    amount: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    treatment: Option<Treatment>,
    reason: Option<String>,
}

/// The one rounding of a formula: its last step.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Round {
    pub(crate) digits: u8,
    pub(crate) mode: Mode,
}

impl Default for Round {
    fn default() -> Self {
        Self { digits: SCALE, mode: Mode::HalfEven }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Treatment {
    Keep,
    Drop,
    Hold,
}

impl From<Treatment> for rerate_rule::Treatment {
    fn from(treatment: Treatment) -> Self {
        match treatment {
            Treatment::Keep => Self::Keep,
            Treatment::Drop => Self::Drop,
            Treatment::Hold => Self::Hold,
        }
    }
}

/// A checked case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// None of a case that takes everything.
    pub(crate) when: Option<Test>,
    pub(crate) amount: Option<Number>,
    pub(crate) set: Vec<(String, Text)>,
    pub(crate) treatment: Treatment,
    pub(crate) reason: String,
}

/// # Errors
/// With the field and the character in its text.
pub(crate) fn cases(config: &Config) -> Result<Vec<Case>, ConfigError> {
    if config.round.digits > SCALE {
        return Err(ConfigError::at("/round/digits", "at most 18"));
    }
    let single = Written {
        when: config.when.clone(),
        amount: config.amount.clone(),
        set: config.set.clone(),
        treatment: config.treatment,
        reason: config.reason.clone(),
    };
    let beside = single.when.is_some() || single.reason.is_some() || single.does_something();
    let cases = match (beside, config.cases.as_slice()) {
        (true, [_, ..]) => return Err(ConfigError::at("/cases", "put everything into cases, or leave cases out: not both")),
        (_, []) => return Ok(vec![single.checked("")?]),
        (false, cases) => cases,
    };
    if cases.len() > CASES_MAX {
        return Err(ConfigError::at("/cases", format!("{} cases; the most is {CASES_MAX}", cases.len())));
    }
    let last = cases.len() - 1;
    let mut checked: Vec<Case> = Vec::with_capacity(cases.len());
    for (index, case) in cases.iter().enumerate() {
        let pointer = format!("/cases/{index}");
        if case.when.is_none() && index != last {
            return Err(ConfigError::at(pointer, "a case without when takes every charge, so it must be the last"));
        }
        let one = case.checked(&pointer)?;
        let earlier = checked.iter().position(|case| case.when.as_ref().is_some_and(Test::looks_at_amounts));
        if let Some(earlier) = earlier
            && one.labels()
        {
            return Err(ConfigError::at(
                pointer,
                format!("{LABELS}; put this case before /cases/{earlier}, whose condition looks at amounts"),
            ));
        }
        checked.push(one);
    }
    Ok(checked)
}

const LABELS: &str = "what a charge is called and whether it is dropped or held is decided for all charges whose text is the same";

impl Written {
    fn does_something(&self) -> bool {
        self.amount.is_some() || !self.set.is_empty() || self.treatment.is_some()
    }

    fn checked(&self, pointer: &str) -> Result<Case, ConfigError> {
        if !self.does_something() {
            return Err(ConfigError::at(pointer, "give an amount, something to set or a treatment"));
        }
        let at = |field: &str| format!("{pointer}/{field}");
        let when = self.when.as_deref().map(|text| check::condition(text).map_err(|p| p.in_text(text, &at("when")))).transpose()?;
        let amount = self.amount.as_deref().map(|text| check::amount(text).map_err(|p| p.in_text(text, &at("amount")))).transpose()?;
        let mut set = Vec::new();
        for (column, text) in &self.set {
            let key = at(&format!("set/{}", column.replace('~', "~0").replace('/', "~1")));
            if !WRITABLE.contains(&column.as_str()) {
                let advice = match closest(column, WRITABLE.into_iter()) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("a rule may set {}", WRITABLE.join(", ")),
                };
                return Err(ConfigError::at(key, format!("{column} cannot be set; {advice}")));
            }
            set.push((column.clone(), check::text(text).map_err(|p| p.in_text(text, &key))?));
        }
        if self.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
            return Err(ConfigError::at(at("reason"), format!("longer than {REASON_BYTES_MAX} bytes")));
        }
        let reason = self.reason.clone().or_else(|| self.amount.clone()).unwrap_or_else(|| self.told());
        let case = Case { when, amount, set, treatment: self.treatment.unwrap_or(Treatment::Keep), reason: cut(&reason, REASON_BYTES_MAX) };
        match (&self.when, &case.when) {
            (Some(text), Some(test)) if case.labels() && test.looks_at_amounts() => {
                let whole = Span { start: 1, end: 1 + u32::try_from(text.chars().count()).unwrap_or(0) };
                Err(Problem::at(whole, format!("{LABELS}; a condition on amounts can only choose an amount")).in_text(text, &at("when")))
            }
            _ => Ok(case),
        }
    }

    /// A reason for a case that has none and computes nothing.
    fn told(&self) -> String {
        let set = self.set.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.treatment {
            Some(Treatment::Drop) => "dropped by formula".to_owned(),
            Some(Treatment::Hold) => "held by formula".to_owned(),
            _ => format!("sets {set}"),
        }
    }
}

impl Case {
    /// Whether it does anything but compute an amount.
    fn labels(&self) -> bool {
        !self.set.is_empty() || self.treatment != Treatment::Keep
    }
}

/// As many whole characters as fit.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    text.chars()
        .scan(0, |used, c| {
            *used += c.len_utf8();
            (*used <= bytes).then_some(c)
        })
        .collect()
}
