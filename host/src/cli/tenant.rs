//! `rerate tenant ...`: the managed customers of a daemon.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{Call, Client, encode, query};
use super::shown::{find, items, name_of, text};
use super::{Failure, output};
use crate::domain::period::Period;

pub const EXAMPLES: &str = "\
Examples:
  rerate tenant create \"Acme GmbH\" --contact cloud+acme@msp.example
  rerate tenant list --state suspended --json
  rerate tenant show \"Acme GmbH\"                 with its quota, subaccounts and integrations
  rerate tenant change \"Acme GmbH\" --name \"Acme AG\" --contact cloud+ag@msp.example
  rerate tenant bill \"Acme GmbH\" --period 2026-09 --out acme.parquet
  rerate tenant suspend \"Acme GmbH\"              nothing new is published for it; its data stays
  rerate tenant import tenants.csv --dry-run     what the list would make and assign
  rerate tenant delete \"Acme GmbH\"               what goes with it
  rerate tenant delete \"Acme GmbH\" --name \"Acme GmbH\"";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List tenants
    List(ListArgs),
    /// Make a tenant, or an organisation that tenants belong to
    Create(CreateArgs),
    /// Show a tenant with its quota, what it holds and what brings its bills
    Show(OneArgs),
    /// Give a tenant another name, contact, parent or external id
    Change(ChangeArgs),
    /// Write a tenant's rated charges of a month to a file
    Bill(BillArgs),
    /// Stop publishing for a tenant and keep its people out; its data stays
    Suspend(OneArgs),
    /// End the management of a tenant; it keeps its data and its access
    Unlink(OneArgs),
    /// Manage a suspended or unlinked tenant again
    Activate(OneArgs),
    /// Delete a tenant for good; without --name, tell what goes with it
    Delete(DeleteArgs),
    /// Make or update tenants from a CSV file, and give them their subaccounts
    Import(ImportArgs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Customer,
    Organisation,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Active,
    Suspended,
    Unlinked,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// A part of the name or of the contact
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[arg(long)]
    state: Option<State>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[arg(value_name = "NAME")]
    name: String,
    /// E-mail address, on one of the MSP's domains if any are set
    #[arg(long, value_name = "EMAIL")]
    contact: Option<String>,
    /// A customer, or an organisation that others belong to
    #[arg(long, default_value = "customer")]
    kind: Kind,
    /// The organisation that it belongs to, by name or id; chosen once
    #[arg(long, value_name = "NAME|ID")]
    parent: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    #[arg(long)]
    name: Option<String>,
    /// E-mail address; an empty one takes it away
    #[arg(long, value_name = "EMAIL")]
    contact: Option<String>,
    /// The organisation that it belongs to, by name or id; chosen once
    #[arg(long, value_name = "NAME|ID")]
    parent: Option<String>,
    /// As the partner's lists call it
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct BillArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    #[arg(long, value_name = "YYYY-MM")]
    period: Period,
    /// Where to write it: Parquet if it ends in .parquet, else CSV
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the tenant has bills in several
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    tenant: String,
    /// The tenant's name again, as it is written
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Columns name, contact, subaccounts (separated by ;), external_id; or a partner's usage file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// The first billing period in which they hold their subaccounts [default: always]
    #[arg(long, value_name = "YYYY-MM")]
    from_period: Option<Period>,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Create(args) => create(&args),
        Command::Show(args) => show(&args),
        Command::Change(args) => change(&args),
        Command::Bill(args) => bill(&args),
        Command::Suspend(args) => set_state(&args, "suspended"),
        Command::Unlink(args) => set_state(&args, "unlinked"),
        Command::Activate(args) => set_state(&args, "active"),
        Command::Delete(args) => delete(&args),
        Command::Import(args) => import(&args),
    }
}

/// The id of a tenant that is named by its id or name.
pub(super) fn id_of(client: &Client, tenant: &str) -> Result<String, Failure> {
    id_among(&client.list("/v1/tenants")?, tenant)
}

/// The same, where the tenants are listed already.
pub(super) fn id_among(known: &[Value], tenant: &str) -> Result<String, Failure> {
    let found = find(known, tenant, "name").map(|found| text(&found["id"]));
    found.ok_or_else(|| Failure::input(format!("there is no tenant {tenant:?}")).next("rerate tenant list"))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let state = args.state.map(|state| format!("{state:?}").to_lowercase());
    let tenants = args.call.client()?.list(&query("/v1/tenants", [("search", args.search.clone()), ("state", state)]))?;
    args.call.answer(&tenants, || {
        let row = |tenant: &Value| ["id", "name", "kind", "state", "parent", "contact_email"].map(|field| text(&tenant[field])).to_vec();
        output::table(&["Tenant", "Name", "Kind", "State", "Parent organisation", "Contact"], tenants.iter().map(row))
    })
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let parent = args.parent.as_deref().map(|parent| id_of(&client, parent)).transpose()?;
    let kind = format!("{:?}", args.kind).to_lowercase();
    let made =
        client.post("/v1/tenants", &json!({ "name": args.name, "contact_email": args.contact, "kind": kind, "parent_id": parent }))?;
    args.call.answer(&made, || format!("{} is {}", text(&made["name"]), text(&made["id"])))
}

/// All that is known of one, in one object.
fn show(args: &OneArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let path = format!("/v1/tenants/{}", encode(&id_of(&client, &args.tenant)?));
    let mut tenant = client.get(&path)?;
    tenant["quota"] = client.get(&format!("{path}/quota"))?;
    tenant["integrations"] = client.list(&format!("{path}/integrations"))?.into();
    tenant["subaccounts"] = client.list(&query("/v1/subaccounts", [("tenant_id", Some(text(&tenant["id"])))]))?.into();
    args.call.answer(&tenant, || {
        let quota = &tenant["quota"];
        let bounds =
            ["fuel", "time_ms", "memory_mib", "concurrent_runs"].map(|field| format!("{field} {}", text(&quota[field]))).join(", ");
        let listed = |field: &str, named: &str| items(&tenant[field]).iter().map(|one| text(&one[named])).collect::<Vec<_>>().join(", ");
        let fields = ["id", "name", "kind", "state", "parent", "contact_email", "external_id", "created_at"];
        let rows = fields.map(|field| vec![field.replace('_', " "), text(&tenant[field])]).into_iter();
        let more =
            [("quota", bounds), ("integrations", listed("integrations", "name")), ("holds", listed("subaccounts", "sub_account_id"))];
        output::table(&["", ""], rows.chain(more.map(|(title, value)| vec![title.to_owned(), value])))
    })
}

fn change(args: &ChangeArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let known = client.list("/v1/tenants")?;
    let id = id_among(&known, &args.tenant)?;
    let before = known.iter().find(|tenant| tenant["id"] == *id).cloned().unwrap_or_default();
    let or_before = |given: &Option<String>, field: &str| match given.as_deref() {
        Some("") => Value::Null,
        Some(given) => given.into(),
        None => before[field].clone(),
    };
    let parent = args.parent.as_deref().map(|parent| id_among(&known, parent)).transpose()?;
    let body = json!({ "name": or_before(&args.name, "name"), "contact_email": or_before(&args.contact, "contact_email"),
        "kind": before["kind"], "parent_id": or_before(&parent, "parent_id"),
        "external_id": or_before(&args.external_id, "external_id") });
    let changed = client.put(&format!("/v1/tenants/{}", encode(&id)), &body)?;
    args.call.answer(&changed, || {
        format!(
            "{} ({id}), contact {}, of {}",
            text(&changed["name"]),
            text(&changed["contact_email"]),
            name_of(&known, &changed["parent_id"], "name")
        )
    })
}

fn bill(args: &BillArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let is_parquet = args.out.extension().is_some_and(|ending| ending == "parquet");
    let format = if is_parquet { "parquet" } else { "csv" };
    let path = format!("/v1/tenants/{}/export", encode(&id_of(&client, &args.tenant)?));
    let fields = [("period", Some(args.period.to_string())), ("format", Some(format.to_owned())), ("currency", args.currency.clone())];
    let bytes = client.get_bytes(&query(&path, fields))?;
    std::fs::write(&args.out, &bytes).map_err(|error| Failure::input(format!("{}: {error}", args.out.display())))?;
    let told = json!({ "file": args.out, "format": format, "bytes": bytes.len() });
    args.call.answer(&told, || format!("{}: {}", args.out.display(), output::bytes(bytes.len() as u64)))
}

fn set_state(args: &OneArgs, state: &str) -> Result<(), Failure> {
    let client = args.call.client()?;
    let id = id_of(&client, &args.tenant)?;
    let tenant = client.put(&format!("/v1/tenants/{}/state", encode(&id)), &json!({ "state": state }))?;
    args.call.answer(&tenant, || format!("{} is {}", text(&tenant["name"]), text(&tenant["state"])))
}

fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let id = id_of(&client, &args.tenant)?;
    let removal = client.get(&format!("/v1/tenants/{}/removal", encode(&id)))?;
    if args.call.json && args.name.is_none() {
        return Ok(output::print_json(&removal)?);
    }
    let name = text(&removal["tenant"]["name"]);
    let Some(again) = &args.name else {
        let count =
            |field: &str| removal[field].as_array().map_or_else(|| removal[field].as_u64().unwrap_or_default(), |list| list.len() as u64);
        let rows = [
            ("integrations of its own, with their bills", "integrations"),
            ("subaccounts that nobody holds then", "released"),
            ("assignments of rules to it alone", "assignments"),
            ("runs with their charges", "runs"),
            ("periods with a published result", "published"),
            ("previews that show something of it", "previews"),
            ("people who may do something in it", "people"),
        ];
        output::print(&format!("deleting {name} ({id}) removes for good:"));
        output::print(&output::table(&[">", ""], rows.iter().map(|(title, field)| vec![output::count(count(field)), (*title).to_owned()])));
        return match removal["refused"].as_str() {
            Some(reason) => Err(Failure::run(reason)),
            None => {
                output::print(&format!("nothing is changed; to do it: rerate tenant delete {id} --name {name:?}"));
                Ok(())
            }
        };
    };
    client.delete(&format!("/v1/tenants/{}?name={}", encode(&id), encode(again)))?;
    if args.call.json {
        return Ok(output::print_json(&removal)?);
    }
    output::print(&format!("{name} ({id}) is deleted"));
    Ok(())
}

fn import(args: &ImportArgs) -> Result<(), Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::input(format!("{}: {error}", args.file.display())))?;
    let from = args.from_period.map(|period| format!("&from_period={period}")).unwrap_or_default();
    let path = format!("/v1/tenants/import?dry_run={}{from}", args.dry_run);
    let done = args.call.client()?.post_bytes(&path, "text/csv", bytes)?;
    if args.call.json {
        return Ok(output::print_json(&done)?);
    }
    let rows = items(&done["tenants"]).iter().map(|change| {
        let assigned: Vec<String> = items(&change["assigned"]).iter().map(text).collect();
        let held = output::count(change["held"].as_u64().unwrap_or_default());
        vec![text(&change["action"]), text(&change["tenant"]["name"]), assigned.join(" "), held]
    });
    output::print(&output::table(&["", "Tenant", "Gets", ">Holds already"], rows));
    let counted = |field: &str| output::count(done[field].as_u64().unwrap_or_default());
    let (made, updated, kept, assigned) = (counted("created"), counted("updated"), counted("kept"), counted("assigned"));
    let sentence = format!("{made} made, {updated} updated, {kept} as they were; {assigned} subaccounts assigned");
    output::print(&if args.dry_run { format!("{sentence} (a trial: nothing is changed)") } else { sentence });
    Ok(())
}
