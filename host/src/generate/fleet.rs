//! What is running: the catalogue priced for each region, the resources that plain usage comes from, and the instances that savings
//! plans and reservations cover. All of it fixed for the bill, so that any hour can be written without the others.

use super::catalogue::{self, Fees, Instance, Meter, Nature, Quantity, Region, Resource};
use super::decimal::{ONE, Units, percent, plain_text};
use super::organisation::{Account, Organisation, Pairs, Tags, slug, tag_sets};
use super::random::{HEX, Random, UPPER};

/// A meter in a region, with all texts that its lines repeat.
#[derive(Clone, Debug)]
pub(super) struct Sku {
    pub(super) meter: Meter,
    pub(super) region: &'static Region,
    pub(super) instance: Option<&'static Instance>,
    pub(super) usage_type: String,
    pub(super) description: String,
    pub(super) public_rate: Units,
    /// What the reseller pays before discounts that have lines or columns of their own.
    pub(super) rate: Units,
    pub(super) sku: String,
    pub(super) rate_code: String,
    pub(super) rate_id: String,
    /// CUR 2.0's product map.
    pub(super) product: Pairs,
}

/// Something that uses a SKU in an account.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// Position in the organisation's accounts; `usize::MAX` is the payer.
    pub(super) account: usize,
    pub(super) sku: usize,
    pub(super) resource: String,
    pub(super) tags: usize,
    pub(super) zone: String,
}

pub(super) const PAYER: usize = usize::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitmentKind {
    SavingsPlan,
    Reservation,
}

/// A savings plan or reservation and what it covers in every hour.
#[derive(Clone, Debug)]
pub(super) struct Commitment {
    pub(super) kind: CommitmentKind,
    pub(super) id: String,
    /// Position as in [`Running`].
    pub(super) owner: usize,
    pub(super) all_upfront: bool,
    pub(super) offering: &'static str,
    /// Percent of the public price that covered usage costs.
    pub(super) price: i64,
    /// Covered instances, by account and SKU: one group has one negation an hour.
    pub(super) groups: Vec<Vec<Running>>,
    /// The SKU of its fees.
    pub(super) sku: usize,
    /// Hourly commitment: a little more than what is covered, so that some is unused.
    pub(super) hourly: Units,
    /// What an hour uses of it.
    pub(super) used_hourly: Units,
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) organisation: Organisation,
    pub(super) skus: Vec<Sku>,
    pub(super) tags: Vec<Tags>,
    pub(super) pool: Vec<Running>,
    pub(super) commitments: Vec<Commitment>,
    pub(super) fees: Fees,
}

impl Fleet {
    /// `resources` in the pool of plain usage, and about `covered` covered instances.
    pub(super) fn build(organisation: &Organisation, seed: u64, resources: usize, covered: usize) -> Self {
        let mut random = Random::new(seed, 0xf1);
        let skus = price_list(organisation, &mut random);
        let mut fleet = Self {
            organisation: organisation.clone(),
            skus,
            tags: tag_sets(seed),
            pool: Vec::new(),
            commitments: Vec::new(),
            fees: Fees::default(),
        };
        let mut ends = Vec::with_capacity(fleet.skus.len());
        let mut sum = 0;
        for sku in &fleet.skus {
            sum += u64::from(sku.meter.weight);
            ends.push(sum);
        }
        // Every SKU once where there is room, so that every kind of line is in every bill; the rest by weight.
        for number in 0..resources {
            let sku = if resources >= 2 * ends.len() && number < ends.len() {
                number
            } else {
                let target = random.below(sum);
                ends.partition_point(|end| *end <= target)
            };
            let running = fleet.running(sku, None, &mut random);
            fleet.pool.push(running);
        }
        let aws = organisation.is_aws();
        let (fees, region) =
            if aws { (&catalogue::AWS_FEES, &catalogue::AWS_REGIONS[0]) } else { (&catalogue::AZURE_FEES, &catalogue::AZURE_REGIONS[0]) };
        let next = fleet.skus.len();
        fleet.skus.extend(fees.iter().map(|meter| sku(*meter, None, region, aws, &mut random)));
        fleet.fees = Fees { savings_plan: next, support: next + 1, domain: next + 2, flat_rate: next + 3 };
        fleet.commit(covered, &mut random);
        fleet
    }

    pub(super) fn account(&self, position: usize) -> &Account {
        self.organisation.accounts.get(position).unwrap_or(&self.organisation.payer)
    }

    /// How many lines the commitments have in each hour or day: covered usage, negations, fees.
    pub(super) fn lines_for_commitments(&self) -> u64 {
        let lines = self.commitments.iter().map(|c| {
            let covered: usize = c.groups.iter().map(Vec::len).sum();
            let more = match (c.kind, self.organisation.is_aws()) {
                (CommitmentKind::SavingsPlan, true) => c.groups.len() + 1,
                (CommitmentKind::SavingsPlan, false) => 2,
                (CommitmentKind::Reservation, _) => 0,
            };
            covered + more
        });
        u64::try_from(lines.sum::<usize>()).unwrap_or(u64::MAX)
    }

    fn running(&self, sku: usize, account: Option<usize>, random: &mut Random) -> Running {
        let accounts = self.organisation.accounts.len();
        // Some of the usage is the reseller's own.
        let account = account.unwrap_or_else(|| if random.one_in(25) { PAYER } else { skewed(random, accounts) });
        let tags = if random.one_in(5) { 0 } else { 1 + random.index(self.tags.len() - 1) };
        let Sku { meter, region, .. } = &self.skus[sku];
        let owner = self.account(account);
        let resource = resource_id(meter.resource, region, owner, self.organisation.is_aws(), random);
        let zone = match meter.resource {
            Resource::Instance | Resource::Volume if self.organisation.is_aws() => {
                format!("{}{}", region.id, random.pick(&["a", "b", "c"]))
            }
            _ => String::new(),
        };
        Running { account, sku, resource, tags, zone }
    }

    /// Bought by the payer (one by the hour, one all upfront), by a tenant for itself, and by a tenant whose plan another tenant uses.
    fn commit(&mut self, covered: usize, random: &mut Random) {
        let accounts = &self.organisation.accounts;
        let of = |customer: usize| -> Vec<usize> { (0..accounts.len()).filter(|a| accounts[*a].customer == Some(customer)).collect() };
        let customers = 1 + accounts.iter().filter_map(|a| a.customer).max().unwrap_or(0);
        let first = |customer: usize| of(customer % customers).first().copied().unwrap_or(PAYER);
        let spread: Vec<usize> = (0..customers.min(8)).map(first).collect();
        let plans = [
            (CommitmentKind::SavingsPlan, PAYER, false, spread.clone(), 8),
            (CommitmentKind::SavingsPlan, PAYER, true, spread.clone(), 1),
            (CommitmentKind::SavingsPlan, first(0), false, vec![first(0)], 2),
            (CommitmentKind::SavingsPlan, first(1), false, vec![first(2)], 2),
            (CommitmentKind::Reservation, PAYER, false, spread, 4),
            (CommitmentKind::Reservation, first(0), true, vec![first(0)], 1),
            (CommitmentKind::Reservation, first(1), false, vec![first(2)], 1),
        ];
        let shares: usize = plans.iter().map(|plan| plan.4).sum();
        for (kind, owner, all_upfront, users, share) in plans {
            let members = (covered * share / shares).max(users.len());
            let commitment = self.commitment(kind, owner, all_upfront, &users, members, random);
            self.commitments.push(commitment);
        }
    }

    fn commitment(
        &self,
        kind: CommitmentKind,
        owner: usize,
        all_upfront: bool,
        users: &[usize],
        members: usize,
        random: &mut Random,
    ) -> Commitment {
        let coverable: Vec<usize> = (0..self.skus.len())
            .filter(|s| self.skus[*s].instance.is_some() && self.skus[*s].meter.nature == Nature::Discounted)
            .filter(|s| self.skus[*s].meter.service != "AmazonRDS")
            .collect();
        let price = if all_upfront { 57 } else { 63 };
        let (mut groups, mut used_hourly) = (Vec::new(), 0);
        // A reservation is for one SKU; a savings plan covers whatever runs.
        let reserved = *random.pick(&coverable);
        for (position, user) in users.iter().enumerate() {
            let count = members / users.len() + usize::from(position < members % users.len());
            let sku = if kind == CommitmentKind::Reservation { reserved } else { *random.pick(&coverable) };
            let group: Vec<Running> = (0..count).map(|_| self.running(sku, Some(*user), random)).collect();
            used_hourly += Units::try_from(group.len()).unwrap_or(0) * percent(self.skus[sku].public_rate, price);
            groups.push(group);
        }
        let hourly = match kind {
            // A plan is bought in dollars an hour with three decimals.
            CommitmentKind::SavingsPlan => (percent(used_hourly, 104) / (ONE / 1000) + 1) * (ONE / 1000),
            // A reservation is bought in instances: one of them idle.
            CommitmentKind::Reservation => used_hourly + percent(self.skus[reserved].public_rate, price),
        };
        let owner_id = &self.account(owner).id;
        let id = match (kind, self.organisation.is_aws()) {
            (CommitmentKind::SavingsPlan, true) => format!("arn:aws:savingsplans::{owner_id}:savingsplan/{}", random.uuid()),
            (CommitmentKind::Reservation, true) => {
                format!("arn:aws:ec2:{}:{owner_id}:reserved-instances/{}", self.skus[reserved].region.id, random.uuid())
            }
            (CommitmentKind::SavingsPlan, false) => {
                format!("/subscriptions/{owner_id}/providers/Microsoft.BillingBenefits/savingsPlans/{}", random.hex(12))
            }
            (CommitmentKind::Reservation, false) => {
                format!("/subscriptions/{owner_id}/providers/Microsoft.BillingBenefits/reservations/{}", random.hex(12))
            }
        };
        let offering = match kind {
            CommitmentKind::SavingsPlan => "ComputeSavingsPlans",
            CommitmentKind::Reservation => "standard",
        };
        let sku = if kind == CommitmentKind::Reservation { reserved } else { self.fees.savings_plan };
        Commitment { kind, id, owner, all_upfront, offering, price, groups, sku, hourly, used_hourly }
    }
}

/// The lower positions more often: some accounts are bigger than others.
fn skewed(random: &mut Random, len: usize) -> usize {
    random.index(len).min(random.index(len))
}

fn price_list(organisation: &Organisation, random: &mut Random) -> Vec<Sku> {
    let aws = organisation.is_aws();
    let (regions, plain) =
        if aws { (catalogue::AWS_REGIONS, catalogue::AWS_METERS) } else { (catalogue::AZURE_REGIONS, catalogue::AZURE_METERS) };
    let mut meters = catalogue::instances_as_meters(aws).into_iter().map(|(m, i)| (m, Some(i))).collect::<Vec<_>>();
    meters.extend(plain.iter().map(|m| (*m, None)));
    let mut skus = Vec::with_capacity(meters.len() * regions.len());
    for (position, region) in regions.iter().enumerate() {
        for (meter, instance) in &meters {
            // The first region runs the most.
            let weight = meter.weight * if position == 0 { 3 } else { 1 };
            skus.push(sku(Meter { weight, ..*meter }, *instance, region, aws, random));
        }
    }
    skus
}

fn sku(meter: Meter, instance: Option<&'static Instance>, region: &'static Region, aws: bool, random: &mut Random) -> Sku {
    let kind = instance.map_or("", |i| i.kind);
    let public_rate = percent(instance.map_or(meter.rate, |i| i.rate), region.price);
    let rate = match meter.nature {
        Nature::Spot => percent(public_rate, 31),
        _ => public_rate,
    };
    let usage_type = format!("{}{}{kind}", region.prefix, meter.usage);
    let sku = random.text(UPPER, 16);
    let description = match (aws, instance) {
        (true, Some(_)) => format!("${} per {} {kind} Instance Hour", plain_text(rate), meter.what),
        (true, None) => format!("${} per {}", plain_text(rate), meter.what),
        (false, Some(_)) => format!("{kind} {}", meter.what),
        (false, None) => meter.what.to_owned(),
    };
    let mut product =
        vec![("product_name", meter.product.to_owned()), ("servicename", meter.product.to_owned()), ("region", region.id.to_owned())];
    if let Some(instance) = instance {
        product.push(("operating_system", "Linux".to_owned()));
        product.push(("tenancy", "Shared".to_owned()));
        product.push(("normalization_size_factor", plain_text(instance.normalization)));
        product.push(("pre_installed_sw", "NA".to_owned()));
    }
    if matches!(meter.quantity, Quantity::Count(_)) {
        product.push(("group", format!("{}-Requests", meter.service)));
        product.push(("group_description", meter.what.to_owned()));
    }
    let rate_code = if aws { format!("{sku}.JRTCKXETXF.{}", random.text(UPPER, 10)) } else { format!("{sku}-{}", random.hex(8)) };
    let rate_id = random.digits(12);
    Sku { meter, region, instance, usage_type, description, public_rate, rate, sku, rate_code, rate_id, product: Pairs::new(product) }
}

pub(super) fn instance_id(random: &mut Random, out: &mut String) {
    let mut hex = [0; 16];
    random.fill(HEX, &mut hex);
    out.clear();
    out.push_str("i-0");
    out.extend(hex.iter().map(|b| char::from(*b)));
}

fn resource_id(resource: Resource, region: &Region, account: &Account, aws: bool, random: &mut Random) -> String {
    let name = slug(&account.name);
    match resource {
        Resource::None => String::new(),
        Resource::Instance => {
            let mut id = String::new();
            instance_id(random, &mut id);
            id
        }
        Resource::Volume => format!("vol-0{}", random.hex(16)),
        Resource::Bucket => format!("{name}-{}-{}", random.pick(&["assets", "logs", "lake", "backup", "uploads"]), random.hex(6)),
        Resource::Path(service, kind) if aws => {
            let separator = if kind.ends_with('-') || kind.is_empty() { String::new() } else { format!("{name}-") };
            format!("arn:aws:{service}:{}:{}:{kind}{separator}{}", region.id, account.id, random.hex(12))
        }
        Resource::Path(provider, kind) => {
            format!("/subscriptions/{}/resourceGroups/rg-{name}/providers/{provider}/{kind}{}", account.id, random.hex(8))
        }
    }
}
