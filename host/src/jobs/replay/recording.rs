//! A run as it was recorded, and the rating of one or several of them in one pass over their charges.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::depot::{Depot, DepotError, Hold};
use crate::domain::columns::TextColumn;
use crate::domain::progress::Progress;
use crate::domain::rule::Earlier;
use crate::jobs::address::Parts;
use crate::jobs::rate::{PeriodRequest, RateError, RunRequest, SnapshotInput, rate_period};
use crate::jobs::work::part_paths;
use crate::lake::{self, LakeError, SnapshotReader};
use crate::plugins::Plugins;
use crate::rating::{ChainRule, MonthError, Owners, RunFailure, RunOutcome, Split};
use crate::sandbox::Limits;
use crate::store::{AccountOwner, ChainEntry, Recorded, Run, RunState, Snapshot, SourceInputs, Store, StoreError};

/// A call of a replay may take this many times the deadline: half of the threads, beside the day's work, on whatever machine.
const SLOWER_MAX: u32 = 20;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the run {id} is {state}: only a done run can be computed again")]
    NotDone { id: String, state: &'static str },
    #[error("the run {0} was rated before its inputs were recorded: it cannot be computed again")]
    NotRecorded(String),
    #[error("the run {run} was made of the bill {snapshot}, which is not kept any more")]
    SnapshotGone { run: String, snapshot: String },
    #[error("rule {title:?}: the component {digest} cannot be loaded: {reason}")]
    Component { title: String, digest: String, reason: String },
    #[error(transparent)]
    Rate(RateError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the bill has no line {0}")]
    NoSuchLine(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    #[error("it was cancelled")]
    Cancelled,
    #[error("{0}")]
    Defect(String),
}

impl ReplayError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }
}

impl From<RateError> for ReplayError {
    fn from(error: RateError) -> Self {
        match error {
            RateError::Month(MonthError::Cancelled) => Self::Cancelled,
            error => Self::Rate(error),
        }
    }
}

/// A done run with everything that its result depends on.
#[derive(Clone, Debug)]
pub(in crate::jobs) struct Recording {
    pub(in crate::jobs) run: Run,
    pub(in crate::jobs) recorded: Recorded,
    /// In the order of the recorded sources.
    pub(in crate::jobs) snapshots: Vec<Arc<Snapshot>>,
}

impl Recording {
    pub(in crate::jobs) async fn read(store: &Store, run_id: &str) -> Result<Self, ReplayError> {
        let run = store.run(run_id).await?;
        if run.state != RunState::Done {
            return Err(ReplayError::NotDone { id: run.id, state: run.state.name() });
        }
        let Some(recorded) = store.run_recorded(run_id).await? else { return Err(ReplayError::NotRecorded(run.id)) };
        let mut snapshots = Vec::new();
        for source in &recorded.inputs.sources {
            match store.snapshot(&source.snapshot).await {
                Ok(snapshot) => snapshots.push(Arc::new(snapshot)),
                Err(StoreError::NotFound { .. }) => {
                    return Err(ReplayError::SnapshotGone { run: run.id, snapshot: source.snapshot.clone() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { run, recorded, snapshots })
    }

    /// The charges that the run was made of.
    pub(in crate::jobs) fn charges(&self, lake: &Depot) -> Result<SnapshotReader, ReplayError> {
        Ok(open_snapshots(lake, self.snapshots.iter().map(AsRef::as_ref))?)
    }

    pub(in crate::jobs) fn parts(&self) -> Parts {
        Parts::of(self.snapshots.iter().map(AsRef::as_ref))
    }

    /// The run's chain, as it ran.
    ///
    /// The tenant's quota does not count: it may have been lowered since, and what was published must stay verifiable. What bounds a
    /// replay is that it does what the run did: a call's fuel, memory and output, which the same rule on the same charges meets as it did
    /// then. Only time may be another on this machine, so a call may take much more of it.
    pub(in crate::jobs) fn rules(&self, plugins: &Plugins) -> Result<Vec<ChainRule>, ReplayError> {
        let none = Vec::new();
        let earlier = self.recorded.inputs.earlier.iter().chain(std::iter::repeat(&none));
        let rules = self.run.chain.iter().zip(earlier).map(|(entry, earlier)| {
            let mut rule = rule_of(plugins, entry, earlier.clone())?;
            let own = rule.plugin.limits();
            let patient = Limits { deadline: own.deadline.saturating_mul(SLOWER_MAX), ..own.clone() };
            rule.plugin = rule.plugin.with(patient, None);
            Ok(rule)
        });
        rules.collect()
    }

    /// Where it is stored, if its file is still there; at hand for as long as it is held.
    pub(in crate::jobs) fn overlay(&self, held: &mut Hold) -> Result<Option<PathBuf>, ReplayError> {
        let Some(name) = &self.run.overlay else { return Ok(None) };
        match held.file(name) {
            Ok(path) => Ok(Some(path).filter(|path| path.is_file())),
            Err(DepotError::Missing { .. }) => Ok(None),
            Err(error) => Err(LakeError::from(error).into()),
        }
    }

    fn sources(&self) -> &[SourceInputs] {
        &self.recorded.inputs.sources
    }
}

/// The charges of some snapshots, read together. Blocking.
pub(super) fn open_snapshots<'a>(lake: &Depot, snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Result<SnapshotReader, LakeError> {
    let (mut held, mut parts) = (lake.hold(), Vec::new());
    for snapshot in snapshots {
        parts.extend(part_paths(&mut held, snapshot)?);
    }
    SnapshotReader::open(&parts)
}

pub(in crate::jobs) fn rule_of(plugins: &Plugins, entry: &ChainEntry, earlier: Vec<Earlier>) -> Result<ChainRule, ReplayError> {
    let plugin = plugins.load_stored(&entry.digest).map_err(|error| ReplayError::Component {
        title: entry.title.clone(),
        digest: entry.digest.clone(),
        reason: error.to_string(),
    })?;
    Ok(ChainRule { id: entry.rule_id.clone(), title: entry.title.clone(), plugin, config: entry.config.to_string(), earlier })
}

/// One recorded run to rate again, under whatever rules.
pub(in crate::jobs) struct Again<'a> {
    pub(in crate::jobs) recording: &'a Recording,
    pub(in crate::jobs) rules: Vec<ChainRule>,
    pub(in crate::jobs) overlay: PathBuf,
    /// The overlay's note.
    pub(in crate::jobs) note: String,
}

/// Rates recorded runs of one period again, together where their records agree. Gives their outcomes in the order asked.
pub(in crate::jobs) fn rate_again(
    mut again: Vec<Again<'_>>,
    lake: &Depot,
    workers: usize,
    batch_rows: Option<NonZero<usize>>,
    progress: &Progress,
) -> Result<Vec<Result<RunOutcome, RunFailure>>, ReplayError> {
    let mut outcomes = Vec::with_capacity(again.len());
    while !again.is_empty() {
        let together = together(&again);
        let rest = again.split_off(together);
        let group = std::mem::replace(&mut again, rest);
        let holders = Holders::of(&group.iter().map(|a| a.recording).collect::<Vec<_>>())
            .ok_or_else(|| ReplayError::Defect("the recorded holders of a run contradict each other".to_owned()))?;
        let mut held = lake.hold();
        let request = request(group, holders, &mut held, workers, batch_rows)?;
        outcomes.extend(rate_period(request, progress)?.runs);
    }
    Ok(outcomes)
}

/// How many of the first runs can be rated in one pass: those with the same charges whose tenants held different accounts.
fn together(again: &[Again<'_>]) -> usize {
    let recordings: Vec<&Recording> = again.iter().map(|a| a.recording).collect();
    let same = |other: &Recording| other.run.period == recordings[0].run.period && other.run.snapshots == recordings[0].run.snapshots;
    let alike = recordings.iter().take_while(|recording| same(recording)).count();
    if Holders::of(&recordings[..alike]).is_some() {
        return alike;
    }
    // Rare: somebody's result is older than a move of subaccounts. Halving finds a piece that fits soon enough.
    let mut fits = alike;
    while fits > 1 {
        fits /= 2;
        if Holders::of(&recordings[..fits]).is_some() {
            return fits;
        }
    }
    1
}

fn request(
    group: Vec<Again<'_>>,
    holders: Holders,
    held: &mut Hold,
    workers: usize,
    batch_rows: Option<NonZero<usize>>,
) -> Result<PeriodRequest, LakeError> {
    let period = group[0].recording.run.period;
    let mut snapshots = Vec::new();
    for (snapshot, owners) in group[0].recording.snapshots.iter().zip(holders.owners) {
        let totals = snapshot.totals.iter().map(|t| lake::CurrencyTotal { currency: t.currency.clone(), billed: t.billed }).collect();
        snapshots.push(SnapshotInput { parts: part_paths(held, snapshot)?, owners, totals });
    }
    let runs = group.into_iter().zip(holders.tenants).map(|(again, tenant)| RunRequest {
        tenant,
        currency: again.recording.run.currency.clone(),
        rules: again.rules,
        overlay: again.overlay,
        note: again.note,
        span: None,
    });
    Ok(PeriodRequest { period, snapshots, payers: holders.payers, runs: runs.collect(), workers, batch_rows })
}

/// Who held what, as far as the records of some runs tell it.
pub(in crate::jobs) struct Holders {
    /// One a source.
    pub(in crate::jobs) owners: Vec<Owners>,
    pub(in crate::jobs) payers: BTreeSet<String>,
    /// The number of each run's tenant; a tenant may have runs in two currencies.
    pub(in crate::jobs) tenants: Vec<usize>,
}

impl Holders {
    /// None where the records contradict each other; those of a single run never do.
    pub(in crate::jobs) fn of(recordings: &[&Recording]) -> Option<Self> {
        let sources = recordings.first()?.sources().len();
        let mut known: Vec<&str> = Vec::new();
        let mut tenants = Vec::new();
        for recording in recordings {
            let id = recording.run.tenant_id.as_str();
            let number = known.iter().position(|known| *known == id).unwrap_or_else(|| {
                known.push(id);
                known.len() - 1
            });
            tenants.push(number);
        }
        let stranger = known.len();
        let mut maps: Vec<HashMap<String, usize>> = vec![HashMap::new(); sources];
        for (recording, tenant) in recordings.iter().zip(&tenants) {
            for (map, source) in maps.iter_mut().zip(recording.sources()) {
                for account in &source.accounts {
                    if map.insert(account.clone(), *tenant).is_some_and(|other| other != *tenant) {
                        return None;
                    }
                }
            }
        }
        let mut payers = BTreeSet::new();
        for (recording, tenant) in recordings.iter().zip(&tenants) {
            for (account, owner) in recording.sources().iter().flat_map(|source| &source.commitment_owners) {
                if *owner == AccountOwner::Payer {
                    payers.insert(account.clone());
                }
                // A later source's holder counts where two know the account, as in the rating.
                let holder = maps.iter().rev().find_map(|map| map.get(account));
                let is_strange = match owner {
                    AccountOwner::OtherTenant => holder.is_none_or(|holder| holder == tenant),
                    AccountOwner::Payer => holder == Some(tenant),
                    AccountOwner::Tenant | AccountOwner::Unknown => false,
                };
                if is_strange && maps.last_mut()?.insert(account.clone(), stranger).is_some() {
                    return None;
                }
            }
        }
        let owners: Vec<Owners> = maps.into_iter().map(Owners::BySubAccount).collect();
        let holders = Self { owners, payers, tenants };
        holders.tells(recordings).then_some(holders)
    }

    /// Whether every run sees the commitments' owners as it did.
    fn tells(&self, recordings: &[&Recording]) -> bool {
        let split = Split::new(&self.owners, &self.payers);
        recordings.iter().zip(&self.tenants).all(|(recording, tenant)| {
            let owners = recording.sources().iter().flat_map(|source| &source.commitment_owners);
            let (accounts, expected): (Vec<&str>, Vec<&AccountOwner>) = owners.map(|(account, owner)| (account.as_str(), owner)).unzip();
            let column = TextColumn::from_rows(accounts.into_iter().map(Some));
            let told = split.commitment_owner(*tenant, &column);
            expected.into_iter().enumerate().all(|(row, owner)| told.get(row) == Some(owner.name()))
        })
    }
}
