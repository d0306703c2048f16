//! A run computed again and held against what is stored: bytes, totals, lines, findings, and what its rules wrote.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::recording::{Again, Recording, ReplayError, rate_again};
use super::{ReplayOptions, Replayer};
use crate::domain::columns::TextColumn;
use crate::domain::money::Amount;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedGroup, RunLogs};
use crate::jobs::identity::ENGINE;
use crate::jobs::work::{note_of, sha256_of};
use crate::lake::OverlayReader;
use crate::rating::RunOutcome;
use crate::store::Run;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    pub run_id: String,
    /// Bytes, totals, what each rule did, added lines, findings and log lines are all as stored.
    pub identical: bool,
    /// The number of the rating's rules when the run was made, and today. Where they differ, a difference is no damage.
    pub engine_recorded: u32,
    pub engine: u32,
    pub bytes: Bytes,
    pub charges: u64,
    pub charged: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstDifference>,
    pub workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_rows: Option<usize>,
    pub millis: u64,
}

/// SHA-256 of the rated charges' file, in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bytes {
    /// When the run was published.
    pub recorded: String,
    /// Now, on disk; none where the file is gone.
    pub stored: Option<String>,
    /// Of the replay; none where it failed.
    pub computed: Option<String>,
}

/// What kind of thing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The replay failed.
    Run,
    /// The stored file is gone or cannot be read.
    File,
    /// A charge.
    Row,
    /// A sum of the run.
    Total,
    /// What a rule did in all.
    Rule,
    /// A line that a rule added.
    Line,
    Finding,
    /// A line that a rule wrote.
    Log,
    /// The same charges in other bytes.
    Bytes,
}

/// The first place where the stored result and the computed one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FirstDifference {
    pub what: What,
    /// Of a charge: the part and the row group of the snapshots, and its row there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
    /// The column, the name of the sum, or the number in the list.
    pub column: String,
    pub stored: String,
    pub computed: String,
}

impl FirstDifference {
    fn of(what: What, column: &str, stored: impl Display, computed: impl Display) -> Self {
        let (stored, computed) = (stored.to_string(), computed.to_string());
        Self { what, part: None, group: None, row: None, column: column.to_owned(), stored, computed }
    }
}

pub(super) fn verify(
    replayer: &Replayer,
    recording: &Recording,
    logs: &RunLogs,
    options: ReplayOptions,
    progress: &Progress,
) -> Result<Verdict, ReplayError> {
    let begun = Instant::now();
    let lake = replayer.data.charges();
    let scratch = replayer.data.scratch_folder().map_err(ReplayError::io(&replayer.data.scratch()))?;
    let overlay = scratch.path().join("run.parquet");
    let again = Again { recording, rules: recording.rules(&replayer.plugins)?, overlay: overlay.clone(), note: note_of(&recording.run) };
    let workers = options.threads();
    let outcome = rate_again(vec![again], lake, workers, options.batch_rows, progress)?.pop();
    let outcome = outcome.ok_or_else(|| ReplayError::Defect("the replay has no result".to_owned()))?;

    let mut held = lake.hold();
    let stored = recording.overlay(&mut held)?;
    let digest = |path: &Path| sha256_of(path).map_err(ReplayError::io(path));
    let mut bytes =
        Bytes { recorded: recording.recorded.overlay_sha256.clone(), stored: stored.as_deref().map(digest).transpose()?, computed: None };
    let first = match &outcome {
        Err(failure) => Some(FirstDifference::of(What::Run, "state", "done", format!("failed: {failure}"))),
        Ok(outcome) => {
            bytes.computed = Some(digest(&overlay)?);
            match stored {
                _ if is_same(&bytes) => first_of_outcome(&recording.run, logs, outcome),
                None => Some(FirstDifference::of(What::File, "overlay", "the file is gone", "a whole file")),
                Some(stored) => Some(first_of_files(&stored, &overlay, &bytes)?),
            }
        }
    };
    Ok(Verdict {
        run_id: recording.run.id.clone(),
        identical: first.is_none(),
        engine_recorded: recording.recorded.inputs.engine,
        engine: ENGINE,
        bytes,
        charges: recording.run.charges,
        charged: outcome.ok().map(|outcome| outcome.charged),
        first,
        workers,
        batch_rows: options.batch_rows.map(std::num::NonZero::get),
        millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn is_same(bytes: &Bytes) -> bool {
    bytes.computed.as_ref() == Some(&bytes.recorded) && bytes.stored == bytes.computed
}

/// Totals, rules, lines, findings and what rules wrote, in this order.
fn first_of_outcome(run: &Run, logs: &RunLogs, outcome: &RunOutcome) -> Option<FirstDifference> {
    let unlike = |name: &str, stored: String, computed: String| {
        (stored != computed).then(|| FirstDifference::of(What::Total, name, stored, computed))
    };
    let amount = |amount: Option<Amount>| amount.map_or_else(|| "nothing".to_owned(), |amount| amount.to_string());
    let totals = unlike("billed", amount(run.billed), outcome.billed.to_string())
        .or_else(|| unlike("charged", amount(run.charged), outcome.charged.to_string()))
        .or_else(|| unlike("charges", run.charges.to_string(), outcome.rows.to_string()))
        .or_else(|| unlike("dropped", run.dropped.to_string(), outcome.dropped.to_string()));
    totals
        .or_else(|| first_of_list(What::Rule, &run.by_rule, &outcome.by_rule))
        .or_else(|| first_of_list(What::Line, &run.lines, &outcome.lines))
        .or_else(|| first_of_list(What::Finding, &run.findings, &outcome.findings))
        .or_else(|| first_of_list(What::Log, &logs.lines, &outcome.logs.lines))
        .or_else(|| {
            let (stored, computed) = (logs.cut, outcome.logs.cut);
            (stored != computed).then(|| FirstDifference::of(What::Log, "lines that were not kept", stored, computed))
        })
}

fn first_of_list<T: PartialEq + Serialize>(what: What, stored: &[T], computed: &[T]) -> Option<FirstDifference> {
    let at = (0..stored.len().max(computed.len())).find(|at| stored.get(*at) != computed.get(*at))?;
    let text = |item: Option<&T>| item.map_or_else(|| "nothing".to_owned(), |item| serde_json::to_string(item).unwrap_or_default());
    Some(FirstDifference::of(what, &format!("{}", at + 1), text(stored.get(at)), text(computed.get(at))))
}

/// The first charge that differs between two overlays whose bytes do.
fn first_of_files(stored: &Path, computed: &Path, bytes: &Bytes) -> Result<FirstDifference, ReplayError> {
    let unreadable = |error: &dyn Display| FirstDifference::of(What::File, "overlay", error, "a whole file");
    let old = match OverlayReader::open(stored) {
        Ok(old) => old,
        Err(error) => return Ok(unreadable(&error)),
    };
    let new = OverlayReader::open(computed)?;
    let groups: std::collections::BTreeSet<GroupRef> = old.groups().into_iter().chain(new.groups()).map(|(group, _)| group).collect();
    for group in groups {
        let was = match old.read(group) {
            Ok(was) => was,
            Err(error) => return Ok(unreadable(&error)),
        };
        if let Some(first) = first_of_group(&was, &new.read(group)?) {
            return Ok(FirstDifference { part: Some(group.part), group: Some(group.group), ..first });
        }
    }
    first_byte(stored, computed, bytes)
}

fn first_of_group(stored: &RatedGroup, computed: &RatedGroup) -> Option<FirstDifference> {
    let shorter = stored.rows.len().min(computed.rows.len());
    let position = (0..shorter).find(|at| stored.rows[*at] != computed.rows[*at]);
    let position = position.or((stored.rows.len() != computed.rows.len()).then_some(shorter));
    let mut first: Option<(usize, FirstDifference)> = position.map(|at| {
        let text = |rows: &[u32]| rows.get(at).map_or_else(|| "no more charges".to_owned(), |row| format!("row {row}"));
        (at, FirstDifference::of(What::Row, "position", text(&stored.rows), text(&computed.rows)))
    });
    let mut offer = |at: Option<usize>, column: &str, text: &dyn Fn(usize) -> (String, String)| {
        if let Some(at) = at.filter(|at| first.as_ref().is_none_or(|(known, _)| at < known)) {
            let (stored, computed) = text(at);
            first = Some((at, FirstDifference::of(What::Row, column, stored, computed)));
        }
    };
    let end = position.unwrap_or(shorter);
    let (old, new) = (&stored.customer_cost, &computed.customer_cost);
    let cost = |at: usize| (Amount(old[at]).to_string(), Amount(new[at]).to_string());
    offer((0..end).find(|at| old[*at] != new[*at]), "x_CustomerCost", &cost);
    let (old, new) = (&stored.treatment, &computed.treatment);
    offer((0..end).find(|at| old[*at] != new[*at]), "x_Treatment", &|at| (old[at].name().to_owned(), new[at].name().to_owned()));
    let texts = [
        ("x_CommitmentOwner", Some(&stored.commitment_owner), Some(&computed.commitment_owner)),
        ("x_AppliedRules", Some(&stored.applied), Some(&computed.applied)),
    ];
    let names: std::collections::BTreeSet<&str> = stored.relabelled.iter().chain(&computed.relabelled).map(|(name, _)| &**name).collect();
    let relabelled = |group: &'_ RatedGroup, name: &str| group.relabelled.iter().position(|(known, _)| **known == *name);
    let labels = names.into_iter().map(|name| {
        let of = |group: &RatedGroup| relabelled(group, name);
        (name, of(stored).map(|at| &stored.relabelled[at].1), of(computed).map(|at| &computed.relabelled[at].1))
    });
    for (name, old, new) in texts.into_iter().chain(labels) {
        let at = match (old, new) {
            (Some(old), Some(new)) => (0..end).find(|at| old.get(*at) != new.get(*at)),
            _ => (end > 0).then_some(0),
        };
        let text = |column: Option<&TextColumn>, at: usize| match column {
            Some(column) => column.get(at).map_or_else(|| "null".to_owned(), str::to_owned),
            None => "as the source has it".to_owned(),
        };
        offer(at, name, &|at| (text(old, at), text(new, at)));
    }
    let (at, first) = first?;
    let row = computed.rows.get(at).or_else(|| stored.rows.get(at)).copied();
    Some(FirstDifference { row, ..first })
}

/// Where the charges are the same and the files are not.
fn first_byte(stored: &Path, computed: &Path, bytes: &Bytes) -> Result<FirstDifference, ReplayError> {
    if bytes.stored == bytes.computed {
        return Ok(FirstDifference::of(What::Bytes, "sha256", &bytes.recorded, bytes.computed.as_deref().unwrap_or("nothing")));
    }
    let open = |path: &Path| Ok::<_, ReplayError>(BufReader::new(File::open(path).map_err(ReplayError::io(path))?).bytes());
    let (mut old, mut new) = (open(stored)?, open(computed)?);
    for at in 0_u64.. {
        let pair = (old.next().transpose().map_err(ReplayError::io(stored))?, new.next().transpose().map_err(ReplayError::io(computed))?);
        if pair.0 != pair.1 || pair.0.is_none() {
            let text = |byte: Option<u8>| byte.map_or_else(|| "the end".to_owned(), |byte| format!("{byte:#04x}"));
            return Ok(FirstDifference::of(What::Bytes, &format!("byte {at}"), text(pair.0), text(pair.1)));
        }
    }
    Err(ReplayError::Defect("two files with different digests have the same bytes".to_owned()))
}
