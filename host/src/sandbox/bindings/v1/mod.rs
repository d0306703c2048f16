//! The contract's major version 1, generated from the released text.

mod convert;
// Generated code names more than is used and makes everything public.
#[allow(unreachable_pub, dead_code)]
mod generated {
    wasmtime::component::bindgen!({
        path: "src/sandbox/wit-released/rule-1.0.0.wit",
        inline: "package rerate:host;
            world rule {
                export rerate:rule/describe@1.0.0;
                export rerate:rule/adjust@1.0.0;
                export rerate:rule/charge@1.0.0;
                export rerate:rule/check@1.0.0;
            }",
        world: "rerate:host/rule",
        // Columns are passed without being copied first.
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre, ResourceAny};

use self::generated::exports::rerate::rule::{adjust, charge, check, describe};
use self::generated::rerate::rule::types;
use crate::domain::rule::{
    BillPeriod, Capability, ConfigError, Decision, Earlier, Finding, Line, Manifest, Plan, RuleMoney, RuleText, Total,
};
use crate::sandbox::call::{RuleFailure, Session};
use crate::sandbox::limits::{Allowance, Work};

/// Where the exports of one component are: found once, used by all its instances.
pub(in crate::sandbox) struct Contract {
    describe: describe::GuestIndices,
    adjust: Option<adjust::GuestIndices>,
    charge: Option<charge::GuestIndices>,
    check: Option<check::GuestIndices>,
}

impl Contract {
    pub(in crate::sandbox) fn find(pre: &InstancePre<Allowance>, capabilities: &[Capability]) -> wasmtime::Result<Self> {
        let has = |capability| capabilities.contains(&capability);
        Ok(Self {
            describe: describe::GuestIndices::new(pre)?,
            adjust: has(Capability::Adjust).then(|| adjust::GuestIndices::new(pre)).transpose()?,
            charge: has(Capability::Charge).then(|| charge::GuestIndices::new(pre)).transpose()?,
            check: has(Capability::Check).then(|| check::GuestIndices::new(pre)).transpose()?,
        })
    }

    /// Compares the types of all exports with the contract.
    pub(in crate::sandbox) fn check_types(&self, store: &mut Store<Allowance>, instance: &Instance) -> wasmtime::Result<()> {
        self.describe.load(&mut *store, instance)?;
        self.adjust.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose()?;
        self.charge.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose()?;
        self.check.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose()?;
        Ok(())
    }

    pub(in crate::sandbox) fn about(&self, session: &mut Session) -> Result<Manifest, RuleFailure> {
        let manifest =
            session.run("about", Work::default(), |store, instance| self.describe.load(&mut *store, instance)?.call_about(store))?;
        Ok(manifest.into())
    }

    pub(in crate::sandbox) fn configure(
        &self,
        session: &mut Session,
        config: &str,
        period: &BillPeriod,
    ) -> Result<Result<Plan, ConfigError>, RuleFailure> {
        let days = convert::Days::of(period);
        let work = Work { bytes: config.len(), ..Work::default() };
        let answer = session.run("configure", work, |store, instance| {
            self.describe.load(&mut *store, instance)?.call_configure(store, config, days.borrow())
        })?;
        match answer {
            Ok(plan) => convert::plan(plan).map(Ok),
            Err(error) => Ok(Err(ConfigError { pointer: error.pointer, message: error.message })),
        }
    }

    pub(in crate::sandbox) fn open(
        &self,
        session: &mut Session,
        config: &str,
        period: &BillPeriod,
        totals: &[Total],
    ) -> Result<Rater, RuleFailure> {
        let indices = self.adjust.as_ref().ok_or(RuleFailure::NotExported("adjust"))?;
        let days = convert::Days::of(period);
        let (work, totals) = convert::Totals::stage(config, totals);
        let (guest, answer) = totals.lend(|totals| {
            session.run("open", work, |store, instance| {
                let guest = indices.load(&mut *store, instance)?;
                let answer = guest.rater().call_open(store, config, days.borrow(), totals)?;
                Ok((guest, answer))
            })
        })?;
        Ok(Rater { guest, handle: answer?, limbs: Vec::new() })
    }

    pub(in crate::sandbox) fn charge(
        &self,
        session: &mut Session,
        config: &str,
        period: &BillPeriod,
        totals: &[Total],
        earlier: &[Earlier],
    ) -> Result<Vec<Line>, RuleFailure> {
        let indices = self.charge.as_ref().ok_or(RuleFailure::NotExported("charge"))?;
        let days = convert::Days::of(period);
        let (mut work, totals) = convert::Totals::stage(config, totals);
        work.rows += earlier.len();
        let earlier: Vec<(convert::Days<'_>, String)> =
            earlier.iter().map(|entry| (convert::Days::of(&entry.period), entry.amount.to_string())).collect();
        let earlier: Vec<types::Earlier<'_>> =
            earlier.iter().map(|(days, amount)| types::Earlier { period: days.borrow(), amount }).collect();
        let answer = totals.lend(|totals| {
            session.run("charge", work, |store, instance| {
                indices.load(&mut *store, instance)?.call_charge(store, config, days.borrow(), totals, &earlier)
            })
        })?;
        convert::lines(answer?)
    }

    pub(in crate::sandbox) fn check(
        &self,
        session: &mut Session,
        config: &str,
        period: &BillPeriod,
        totals: &[Total],
    ) -> Result<Vec<Finding>, RuleFailure> {
        let indices = self.check.as_ref().ok_or(RuleFailure::NotExported("check"))?;
        let days = convert::Days::of(period);
        let (work, totals) = convert::Totals::stage(config, totals);
        let answer = totals.lend(|totals| {
            session
                .run("check", work, |store, instance| indices.load(&mut *store, instance)?.call_check(store, config, days.borrow(), totals))
        })?;
        convert::findings(answer?)
    }
}

/// The guest's rater, open for one run.
pub(in crate::sandbox) struct Rater {
    guest: adjust::Guest,
    handle: ResourceAny,
    /// Wide columns as the contract writes them, kept between calls for their allocation.
    limbs: Vec<Vec<u64>>,
}

impl Rater {
    pub(in crate::sandbox) fn decide(&self, session: &mut Session, dimensions: &[RuleText]) -> Result<Vec<Decision>, RuleFailure> {
        // A rule that looks at no column decides once.
        let combinations = dimensions.first().map_or(1, |text| text.codes.len());
        let values: Vec<Vec<&str>> = dimensions.iter().map(|text| text.new_values.iter().collect()).collect();
        let texts: Vec<types::Text<'_>> =
            dimensions.iter().zip(&values).map(|(text, values)| types::Text { new_values: values, codes: &text.codes }).collect();
        let bytes = dimensions.iter().map(|text| text.new_values.parts().0.len()).sum();
        let work = Work { combinations, bytes, ..Work::default() };
        let answer = session.run("decide", work, |store, _| self.guest.rater().call_decide(store, self.handle, &texts))?;
        convert::decisions(answer?, combinations)
    }

    pub(in crate::sandbox) fn apply(
        &mut self,
        session: &mut Session,
        slots: &[u32],
        reads: &[RuleMoney],
    ) -> Result<RuleMoney, RuleFailure> {
        self.limbs.resize_with(reads.len(), Vec::new);
        for (column, limbs) in reads.iter().zip(&mut self.limbs) {
            convert::fill_limbs(column, limbs);
        }
        let columns: Vec<types::MoneyParam<'_>> =
            reads.iter().zip(&self.limbs).map(|(column, limbs)| convert::lend_money(column, limbs)).collect();
        let work = Work { rows: slots.len(), ..Work::default() };
        let answer = session.run("apply", work, |store, _| self.guest.rater().call_apply(store, self.handle, slots, &columns))?;
        convert::money(answer?, slots.len())
    }
}
