//! The lines that a month has once: fees of commitments, support, subscriptions, taxes, credits, refunds, and the discounts that the
//! provider settles at the end of the month.

use super::decimal::{ONE, Units, percent};
use super::fleet::{Commitment, CommitmentKind, Fleet, PAYER};
use super::line::{CommitmentAmounts, Line, LineType, Span};
use super::lines::{Plan, first_account};
use super::random::Random;

/// Hours that a one-year commitment is paid for.
const YEAR_HOURS: i64 = 8_760;
/// Accounts with lines of their own for tax: more would crowd usage out of small bills.
const LINES_A_TAXED_ACCOUNT: u64 = 200;
const VAT_PERCENT: i64 = 20;

/// A line of [`Plan::monthly`], by positions in the fleet.
pub(super) struct Monthly {
    kind: LineType,
    account: usize,
    sku: usize,
    span: Span,
    description: String,
    quantity: Units,
    cost: Units,
    list_cost: Units,
    commitment: Option<usize>,
    amounts: CommitmentAmounts,
    tax_type: &'static str,
}

impl Monthly {
    pub(super) fn line<'a>(&'a self, plan: &'a Plan) -> Line<'a> {
        let fleet = &plan.fleet;
        Line {
            kind: self.kind,
            account: fleet.account(self.account),
            sku: &fleet.skus[self.sku],
            resource: "",
            tags: &fleet.tags[0],
            zone: "",
            span: &self.span,
            description: &self.description,
            quantity: self.quantity,
            rate: None,
            cost: self.cost,
            list_cost: self.list_cost,
            discount: 0,
            commitment: self.commitment.map(|c| &fleet.commitments[c]),
            amounts: self.amounts,
            tax_type: self.tax_type,
        }
    }
}

/// Collects lines that share most of their fields.
struct Month<'a> {
    fleet: &'a Fleet,
    first: i64,
    end: i64,
    lines: Vec<Monthly>,
}

impl Month<'_> {
    fn add(&mut self, kind: LineType, account: usize, sku: usize, cost: Units, description: impl Into<String>) -> &mut Monthly {
        let span = Span::new(self.first, self.end);
        let (description, amounts) = (description.into(), CommitmentAmounts::default());
        let (quantity, list_cost) = (ONE, 0);
        self.lines.push(Monthly {
            kind,
            account,
            sku,
            span,
            description,
            quantity,
            cost,
            list_cost,
            commitment: None,
            amounts,
            tax_type: "",
        });
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    /// The SKU that stands for a service in lines without usage.
    fn sku_of(&self, service: &str) -> usize {
        self.fleet.skus.iter().position(|s| s.meter.service == service).unwrap_or(0)
    }
}

/// `month_hours` is what reservations are paid for, `used_hours` what the bill's slices use of them.
pub(super) fn monthly_lines(fleet: &Fleet, spec: &super::Spec, month_hours: i64, used_hours: i64) -> Vec<Monthly> {
    let seconds = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |z| z.timestamp().as_second());
    let (first, end) = (seconds(spec.period.first_day()), seconds(spec.period.end()));
    let mut month = Month { fleet, first, end, lines: Vec::new() };
    let mut random = Random::new(spec.seed ^ u64::try_from(first).unwrap_or(0), 0x30);
    for (position, commitment) in fleet.commitments.iter().enumerate() {
        fees(&mut month, commitment, position, spec.purchases, month_hours, used_hours);
    }
    let accounts = fleet.organisation.accounts.len();
    let taxed = usize::try_from(spec.rows / LINES_A_TAXED_ACCOUNT).unwrap_or(accounts).clamp(1, accounts);
    let services: &[&str] =
        if fleet.organisation.is_aws() { &["AmazonEC2", "AmazonS3", "AmazonRDS"] } else { &["Virtual Machines", "Azure Blob Storage"] };
    for account in 0..taxed {
        for service in services {
            let amount = cents(&mut random, 5_000);
            let sku = month.sku_of(service);
            month.add(LineType::Tax, account, sku, percent(amount, VAT_PERCENT), format!("Tax for product code {service}")).tax_type =
                "VAT";
        }
    }
    let services = if fleet.organisation.is_aws() { ["AmazonEC2", "AmazonCloudFront"] } else { ["Virtual Machines", "Bandwidth"] };
    let [compute, edge] = services.map(|service| month.sku_of(service));
    let [a, b, c] = [0, 1, 2].map(|customer| first_account(fleet, customer));
    let fees = fleet.fees;
    let support = cents(&mut random, 90_000);
    month.add(LineType::Fee, PAYER, fees.support, support, fleet.skus[fees.support].description.clone()).list_cost = support;
    let renewal = 140_000_000_000;
    month.add(LineType::Fee, a, fees.domain, renewal, "Renewal of example.test").list_cost = renewal;
    let flat = 2_000_000_000_000;
    month.add(LineType::FlatRateSubscription, b, fees.flat_rate, flat, fleet.skus[fees.flat_rate].description.clone()).list_cost = flat;
    for account in (0..accounts).step_by(4).take(taxed) {
        let credit = -cents(&mut random, 12_000);
        month.add(LineType::Credit, account, compute, credit, "MPE credit, migration program").quantity = 0;
    }
    month.add(LineType::Credit, a, compute, 2_500_000_000, "Credit reversal").quantity = 0;
    let refund = -cents(&mut random, 4_000);
    let earlier = Span::new(first - 14 * 86_400, first - 13 * 86_400);
    month.add(LineType::Refund, b, compute, refund, "Refund for prior month").span = earlier;
    if fleet.organisation.is_aws() {
        let plan = &fleet.commitments[0];
        let description = format!("Refund for one-time fee for Savings Plan ID: {}", plan.id);
        month.add(LineType::Refund, plan.owner, fees.savings_plan, -1_000_000_000_000, description);
        for (account, amount) in [(a, 3_333_333_333_i64), (b, 12_345_678_901), (c, 700_000_000)] {
            month.add(LineType::SppDiscount, account, compute, -amount, "Solution Provider Program discount").quantity = 0;
        }
        month.add(LineType::DistributorDiscount, PAYER, compute, -cents(&mut random, 9_000), "Distributor discount").quantity = 0;
        month.add(LineType::RiVolumeDiscount, PAYER, compute, -125_000_000_000, "RI volume discount").quantity = 0;
        for account in [a, b] {
            let amount = -cents(&mut random, 300);
            month.add(LineType::BundledDiscount, account, edge, amount, "Bundled discount, CloudFront with WAF").quantity = 0;
        }
        month.add(LineType::Discount, PAYER, compute, -5_000_000_000, "Discount").quantity = 0;
    }
    month.lines
}

/// What a commitment costs once a month; `purchases` says whether upfront payments fall into this month.
fn fees(month: &mut Month<'_>, commitment: &Commitment, position: usize, purchases: bool, month_hours: i64, used_hours: i64) {
    let year = commitment.hourly * YEAR_HOURS;
    let (owner, sku) = (commitment.owner, commitment.sku);
    let upfront = commitment.all_upfront && purchases;
    match commitment.kind {
        CommitmentKind::SavingsPlan => {
            if upfront {
                let line = month.add(LineType::SavingsPlanUpfrontFee, owner, sku, year, "1 year All Upfront Compute Savings Plan");
                line.commitment = Some(position);
            }
        }
        CommitmentKind::Reservation => {
            let fee = commitment.hourly * month_hours;
            let unused = fee - commitment.used_hourly * used_hours;
            let unused_quantity = month_hours * ONE;
            let (cost, amounts) = if commitment.all_upfront {
                (0, CommitmentAmounts { amortized_fee: fee, unused_upfront: unused, unused_quantity, ..CommitmentAmounts::default() })
            } else {
                (fee, CommitmentAmounts { recurring_fee: fee, unused_recurring: unused, unused_quantity, ..CommitmentAmounts::default() })
            };
            let aws = month.fleet.organisation.is_aws();
            let line = month.add(LineType::RIFee, owner, sku, cost, "Reserved instance fee, one year");
            (line.commitment, line.amounts, line.quantity) = (Some(position), amounts, month_hours * ONE);
            if upfront {
                let line = month.add(LineType::Fee, owner, sku, year, "Sign up charge for reserved instances, one year, all upfront");
                line.commitment = Some(position);
            }
            if !aws {
                let amounts = CommitmentAmounts { effective: unused, ..CommitmentAmounts::default() };
                let line = month.add(LineType::UnusedCommitment, owner, sku, 0, "unused reservation hours");
                (line.commitment, line.amounts) = (Some(position), amounts);
            }
        }
    }
}

/// Up to that many cents.
fn cents(random: &mut Random, most: u64) -> Units {
    Units::try_from(1 + random.below(most)).unwrap_or(1) * (ONE / 100)
}
