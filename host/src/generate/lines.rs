//! Which lines a bill has: month by month what is bought, taxed and credited, and hour by hour what is used.
//!
//! Every hour (or day) can be written without the others, so files are written in parallel and the bytes do not depend on how many
//! threads did it.

use super::catalogue::{Nature, Quantity};
use super::decimal::{ONE, Units, percent, product};
use super::fleet::{Commitment, CommitmentKind, Fleet, PAYER, Running, Sku, instance_id};
use super::line::{CommitmentAmounts, Line, LineType, Span};
use super::month::{Monthly, monthly_lines};
use super::organisation::Discounts;
use super::random::Random;

/// Bills of at least this many lines are by the hour, smaller ones by the day, as customers choose them.
const HOURLY_FROM_LINES: u64 = 1_000_000;
/// A day that is to have commitments, their negations and plain usage needs so many lines; small bills cover fewer days.
const LEAST_LINES_A_SLICE: u64 = 80;
/// One line in so many is covered by a commitment.
const COVERED_SHARE: u64 = 9;
/// Lines for each resource in the pool of plain usage.
const LINES_A_RESOURCE: u64 = 100;
/// Binary orders of magnitude that counts of requests spread over.
const COUNT_MAGNITUDES: u64 = 14;
/// The enterprise discount, and the private rate, in percent.
pub(super) const EDP_PERCENT: i64 = 9;
const PRIVATE_RATE_PERCENT: i64 = 15;
/// What a container's vCPU hour is worth in a split-cost copy.
const SPLIT_RATE: Units = 410_000_000;

/// The whole bill, before any line is written.
pub(super) struct Plan {
    pub(super) fleet: Fleet,
    pub(super) month: Span,
    pub(super) monthly: Vec<Monthly>,
    slices: Vec<Span>,
    hours: i64,
    /// Lines of each slice.
    counts: Vec<u64>,
    seed: u64,
}

/// Why a bill cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("a bill with every line type needs at least {least} lines")]
pub(super) struct TooFewLines {
    pub(super) least: u64,
}

impl Plan {
    pub(super) fn new(spec: &super::Spec) -> Result<Self, TooFewLines> {
        let seconds = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |z| z.timestamp().as_second());
        let (first, end) = (seconds(spec.period.first_day()), seconds(spec.period.end()));
        let month = Span::new(first, end);
        let hourly = spec.rows >= HOURLY_FROM_LINES;
        let hours: i64 = if hourly { 1 } else { 24 };
        let all = u64::try_from((end - first) / (hours * 3600)).unwrap_or(1);
        let slices = all.min(spec.rows / LEAST_LINES_A_SLICE).max(1);
        let a_slice = spec.rows / slices;
        let covered = usize::try_from(a_slice / COVERED_SHARE).unwrap_or(usize::MAX);
        let resources = usize::try_from((spec.rows / LINES_A_RESOURCE).max(400)).unwrap_or(usize::MAX);
        let fleet = Fleet::build(&spec.organisation, spec.seed, resources, covered);
        let used_hours = hours * i64::try_from(slices).unwrap_or(1);
        let monthly = monthly_lines(&fleet, spec, (end - first) / 3600, used_hours);
        let usage = spec.rows.saturating_sub(u64::try_from(monthly.len()).unwrap_or(u64::MAX));
        let counts: Vec<u64> = (0..slices).map(|slice| usage * (slice + 1) / slices - usage * slice / slices).collect();
        let needed = fleet.lines_for_commitments() + LEAST_LINES_A_SLICE / 8;
        if counts.iter().any(|count| *count < needed) {
            return Err(TooFewLines { least: u64::try_from(monthly.len()).unwrap_or(u64::MAX) + needed * slices });
        }
        let start = |slice: u64| first + i64::try_from(slice).unwrap_or(0) * hours * 3600;
        let slices = (0..slices).map(|slice| Span::new(start(slice), start(slice + 1))).collect();
        Ok(Self { fleet, month, monthly, slices, hours, counts, seed: spec.seed })
    }

    /// How many files the lines can be spread over.
    pub(super) fn most_files(&self) -> usize {
        self.slices.len()
    }

    /// Gives the lines of one of `files` files, the monthly ones first.
    pub(super) fn lines<E>(&self, file: usize, files: usize, mut emit: impl FnMut(&Line<'_>) -> Result<(), E>) -> Result<(), E> {
        if file == 0 {
            for line in &self.monthly {
                emit(&line.line(self))?;
            }
        }
        let slice = |file: usize| self.slices.len() * file / files;
        for position in slice(file)..slice(file + 1) {
            self.slice(position, &mut emit)?;
        }
        Ok(())
    }

    fn slice<E>(&self, position: usize, emit: &mut impl FnMut(&Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let span = &self.slices[position];
        for commitment in &self.fleet.commitments {
            self.commitment(commitment, span, emit)?;
        }
        let mut left = self.counts[position] - self.fleet.lines_for_commitments();
        let month = u64::try_from(self.month.start_seconds).unwrap_or(0);
        let mut random = Random::new(self.seed ^ month, 0x1000 + u64::try_from(position).unwrap_or(0));
        let mut fresh = String::new();
        while left > 0 {
            let running = random.pick(&self.fleet.pool);
            let mut line = self.usage(running, span, &mut random);
            if line.sku.meter.nature == Nature::Spot && self.fleet.organisation.is_aws() && random.one_in(2) {
                instance_id(&mut random, &mut fresh); // spot instances come and go
                line.resource = &fresh;
            }
            left -= 1;
            let discount = match line.sku.meter.nature {
                Nature::Discounted => Some((LineType::EdpDiscount, percent(line.cost, EDP_PERCENT), "Enterprise program discount")),
                Nature::PrivateRate => Some((LineType::PrivateRateDiscount, percent(line.cost, PRIVATE_RATE_PERCENT), "Private rate")),
                _ => None,
            };
            match (discount, self.fleet.organisation.discounts) {
                (Some((_, amount, _)), Discounts::Columns) => {
                    line.discount = -amount;
                    emit(&line)?;
                }
                (Some((kind, amount, description)), Discounts::Lines) if left > 0 && amount != 0 => {
                    emit(&line)?;
                    emit(&Line { kind, description, quantity: 0, rate: None, cost: -amount, list_cost: 0, ..line })?;
                    left -= 1;
                }
                _ => emit(&line)?,
            }
        }
        Ok(())
    }

    fn usage<'a>(&'a self, running: &'a Running, span: &'a Span, random: &mut Random) -> Line<'a> {
        let sku = &self.fleet.skus[running.sku];
        let whole = |count: u64| Units::try_from(count).unwrap_or(0) * ONE;
        let quantity = match sku.meter.quantity {
            Quantity::Hours => self.hours * ONE,
            // Small counts are far more frequent than large ones.
            Quantity::Count(most) => whole((random.below(most) >> random.below(COUNT_MAGNITUDES)).max(1)),
            Quantity::Spread { least, most } => {
                let power = u32::try_from(random.below(u64::from(most - least) + 1)).unwrap_or(0);
                let mantissa = Units::try_from(1_000 + random.below(9_000)).unwrap_or(1_000);
                mantissa * Units::from(10_u8).pow(least + power)
            }
        };
        let (rate, list_cost) = match sku.meter.nature {
            Nature::SplitCost => (SPLIT_RATE, product(SPLIT_RATE, quantity)),
            // Azure's FOCUS export has no list price for the marketplace.
            Nature::Marketplace if !self.fleet.organisation.is_aws() => (sku.rate, 0),
            _ => (sku.rate, product(sku.public_rate, quantity)),
        };
        let line = self.running_line(LineType::Usage, running, sku, span, quantity);
        Line { rate: Some(rate), cost: product(rate, quantity), list_cost, ..line }
    }

    fn running_line<'a>(&'a self, kind: LineType, running: &'a Running, sku: &'a Sku, span: &'a Span, quantity: Units) -> Line<'a> {
        Line {
            kind,
            account: self.fleet.account(running.account),
            sku,
            resource: &running.resource,
            tags: &self.fleet.tags[running.tags],
            zone: &running.zone,
            span,
            description: &sku.description,
            quantity,
            rate: None,
            cost: 0,
            list_cost: 0,
            discount: 0,
            commitment: None,
            amounts: CommitmentAmounts::default(),
            tax_type: "",
        }
    }

    /// What a commitment has in one slice: covered usage, the negation of each group (AWS), the fee of a savings plan.
    fn commitment<E>(&self, commitment: &Commitment, span: &Span, emit: &mut impl FnMut(&Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let aws = self.fleet.organisation.is_aws();
        let quantity = self.hours * ONE;
        let plan = commitment.kind == CommitmentKind::SavingsPlan;
        for group in &commitment.groups {
            let mut negated = 0;
            for running in group {
                let sku = &self.fleet.skus[running.sku];
                let effective = product(percent(sku.public_rate, commitment.price), quantity);
                let list_cost = product(sku.public_rate, quantity);
                // AWS bills plan-covered usage at the public price and takes it back; everyone else bills covered usage at nothing.
                let cost = if plan && aws { list_cost } else { 0 };
                negated += cost;
                let kind = if plan { LineType::SavingsPlanCoveredUsage } else { LineType::DiscountedUsage };
                let upfront_part = if commitment.all_upfront { effective } else { 0 };
                let line = self.running_line(kind, running, sku, span, quantity);
                emit(&Line {
                    rate: Some(if cost == 0 { 0 } else { sku.public_rate }),
                    cost,
                    list_cost,
                    commitment: Some(commitment),
                    amounts: CommitmentAmounts { effective, upfront_part, ..CommitmentAmounts::default() },
                    ..line
                })?;
            }
            if let Some(first) = group.first().filter(|_| plan && aws) {
                let sku = &self.fleet.skus[first.sku];
                let account = self.fleet.account(first.account);
                let description = format!("SavingsPlanNegation used by AccountId : {} and UsageSku : {}", account.id, sku.sku);
                let count = Units::try_from(group.len()).unwrap_or(0);
                let line = self.running_line(LineType::SavingsPlanNegation, first, sku, span, quantity * count);
                emit(&Line {
                    resource: "",
                    tags: &self.fleet.tags[0],
                    description: &description,
                    rate: Some(-sku.public_rate),
                    cost: -negated,
                    commitment: Some(commitment),
                    ..line
                })?;
            }
        }
        if plan {
            let (total, used) = (commitment.hourly * self.hours, commitment.used_hourly * self.hours);
            let (cost, amortized_fee) = if commitment.all_upfront { (0, total) } else { (total, 0) };
            let sku = &self.fleet.skus[commitment.sku];
            let fee = Line {
                kind: LineType::SavingsPlanRecurringFee,
                account: self.fleet.account(commitment.owner),
                sku,
                resource: &commitment.id,
                tags: &self.fleet.tags[0],
                zone: "",
                span,
                description: &sku.description,
                quantity,
                rate: None,
                cost,
                list_cost: 0,
                discount: 0,
                commitment: Some(commitment),
                amounts: CommitmentAmounts { total, used, recurring_fee: cost, amortized_fee, ..CommitmentAmounts::default() },
                tax_type: "",
            };
            emit(&fee)?;
            if !aws {
                let amounts = CommitmentAmounts { effective: total - used, ..CommitmentAmounts::default() };
                emit(&Line { kind: LineType::UnusedCommitment, description: "unused savings plan commitment", cost: 0, amounts, ..fee })?;
            }
        }
        Ok(())
    }
}

/// The position of the first account of a customer.
pub(super) fn first_account(fleet: &Fleet, customer: usize) -> usize {
    fleet.organisation.accounts.iter().position(|a| a.customer == Some(customer)).unwrap_or(PAYER)
}
