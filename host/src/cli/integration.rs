//! `rerate integration ...`: where a daemon's bills come from.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, Client, encode, query};
use super::shown::{find, name_of, text, text_or};
use super::{Failure, output, tenant};

pub const EXAMPLES: &str = "\
Examples:
  rerate integration create aws-one --location /srv/bills/aws-one
  rerate integration create acme --location s3://bills/acme --region eu-central-1 --dedicated-to \"Acme GmbH\" --exclude 'sandbox-*'
  rerate integration create csp --location /srv/bills/csp --create-tenants    its customers become tenants
  AWS_SECRET_ACCESS_KEY=... rerate integration credentials acme --access-key AKIA...
  rerate integration refresh acme
  rerate integration change acme --every 60 --shared
  rerate integration show acme --json | jq -r .error

The key under which credentials are stored: rerate secrets rotate.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List integrations and how they are doing
    List(ListArgs),
    /// Show an integration
    Show(OneArgs),
    /// Make an integration; its bills are read at once
    Create(CreateArgs),
    /// Give an integration another name, location or interval, or dedicate it to another tenant
    Change(ChangeArgs),
    /// Look for new bills now
    Refresh(OneArgs),
    /// Set what opens an integration's bucket; the secret is taken from the environment
    Credentials(CredentialsArgs),
    /// Delete an integration with its subaccounts and bills, for good
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[arg(value_name = "NAME")]
    name: String,
    /// A folder's absolute path on the daemon's machine, or s3://bucket/prefix
    #[arg(long, value_name = "PATH|URL")]
    location: String,
    /// Address of an S3-compatible service other than AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[arg(long)]
    region: Option<String>,
    /// The tenant that owns it, by name or id [default: the MSP]
    #[arg(long, value_name = "NAME|ID")]
    tenant: Option<String>,
    /// The tenant that gets the subaccounts that it brings, by name or id [default: shared]
    #[arg(long, value_name = "NAME|ID")]
    dedicated_to: Option<String>,
    /// Subaccounts that nobody gets all the same: globs over id and name, with commas between
    #[arg(long, value_name = "GLOBS", default_value = "", hide_default_value = true)]
    exclude: String,
    /// Make tenants of the customers that a partner's bill (CSP) names, and give them their subscriptions
    #[arg(long)]
    create_tenants: bool,
    /// Minutes between two looks that nobody asks for
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    every: u32,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    integration: String,
    #[arg(long)]
    name: Option<String>,
    /// A folder's absolute path on the daemon's machine, or s3://bucket/prefix; its credentials are removed with the old one
    #[arg(long, value_name = "PATH|URL")]
    location: Option<String>,
    /// Address of an S3-compatible service other than AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[arg(long)]
    region: Option<String>,
    /// The tenant that gets the subaccounts that it brings from now on, by name or id
    #[arg(long, value_name = "NAME|ID")]
    dedicated_to: Option<String>,
    /// Nobody gets the subaccounts that it brings from now on
    #[arg(long, conflicts_with = "dedicated_to")]
    shared: bool,
    /// Subaccounts that nobody gets all the same: globs over id and name, with commas between
    #[arg(long, value_name = "GLOBS")]
    exclude: Option<String>,
    /// Whether customers that a partner's bill (CSP) names become tenants
    #[arg(long, value_name = "true|false")]
    create_tenants: Option<bool>,
    /// Minutes between two looks that nobody asks for
    #[arg(long, value_name = "MINUTES")]
    every: Option<u32>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    integration: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct CredentialsArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    integration: String,
    /// The access key's id; its secret is read from AWS_SECRET_ACCESS_KEY, a session token from AWS_SESSION_TOKEN
    #[arg(long, value_name = "ID", conflicts_with = "remove", required_unless_present = "remove")]
    access_key: Option<String>,
    /// Remove what there is
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    integration: String,
    /// Do not ask for more
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    call: Call,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Show(args) => show(&args),
        Command::Create(args) => create(&args),
        Command::Change(args) => change(&args),
        Command::Refresh(args) => {
            let client = args.call.client()?;
            let found = named(&client, &args.integration)?;
            let asked = client.post(&format!("{}/refresh", path(&found)), &json!({}))?;
            args.call.answer(&asked, || format!("looking for new bills of {}", text(&found["name"])))
        }
        Command::Credentials(args) => credentials(&args),
        Command::Delete(args) => delete(&args),
    }
}

fn path(integration: &Value) -> String {
    format!("/v1/integrations/{}", encode(&text(&integration["id"])))
}

/// An integration by its name or id.
pub(super) fn named(client: &Client, wanted: &str) -> Result<Value, Failure> {
    let found = find(&client.list("/v1/integrations")?, wanted, "name").cloned();
    found.ok_or_else(|| Failure::input(format!("there is no integration {wanted}")).next("rerate integration list"))
}

fn kind_of(location: &str) -> &'static str {
    if location.starts_with("s3://") { "s3" } else { "folder" }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let (found, tenants) = (client.list("/v1/integrations")?, client.list("/v1/tenants")?);
    args.call.answer(&found, || {
        let row = |integration: &Value| {
            let (owner, dedicated) =
                (name_of(&tenants, &integration["tenant_id"], "name"), name_of(&tenants, &integration["dedicated_to"], "name"));
            let for_whom = [&dedicated, &owner].into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_else(|| "shared".to_owned());
            let owner = if owner.is_empty() { "MSP".to_owned() } else { owner };
            let rest = ["status", "last_refresh_at"].map(|field| text(&integration[field]));
            let told = text_or(&integration["error"], &text(&integration["notice"]));
            [text(&integration["name"]), owner, for_whom].into_iter().chain(rest).chain([told]).collect()
        };
        output::table(&["Integration", "Owner", "For", "Status", "Refreshed", "Error or notice"], found.iter().map(row))
    })
}

fn show(args: &OneArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let (found, tenants) = (named(&client, &args.integration)?, client.list("/v1/tenants")?);
    args.call.answer(&found, || {
        let field = |name: &str| vec![name.replace('_', " "), text(&found[name])];
        let tenant = |title: &str, name: &str, none: &str| {
            let shown = name_of(&tenants, &found[name], "name");
            vec![title.to_owned(), if shown.is_empty() { none.to_owned() } else { shown }]
        };
        let mut rows: Vec<Vec<String>> = ["id", "name", "location", "endpoint", "region"].map(field).to_vec();
        rows.extend([tenant("owner", "tenant_id", "MSP"), tenant("dedicated to", "dedicated_to", "nobody: shared")]);
        rows.extend(
            ["exclude", "refresh_minutes", "create_tenants", "status", "error", "notice", "last_refresh_at", "next_refresh_at"].map(field),
        );
        rows.push(vec!["access key".to_owned(), text_or(&found["credentials"]["access_key_ends"], "none of its own")]);
        output::table(&["", ""], rows)
    })
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let id = |tenant: &Option<String>| tenant.as_deref().map(|name| tenant::id_of(&client, name)).transpose();
    let body = json!({
        "name": args.name,
        "kind": kind_of(&args.location),
        "location": args.location,
        "endpoint": args.endpoint,
        "region": args.region,
        "tenant_id": id(&args.tenant)?,
        "dedicated_to": id(&args.dedicated_to)?,
        "exclude": args.exclude,
        "create_tenants": args.create_tenants,
        "refresh_minutes": args.every,
    });
    let made = client.post("/v1/integrations", &body)?;
    args.call.answer(&made, || format!("{} is {}; its bills are being read", text(&made["name"]), text(&made["id"])))
}

fn change(args: &ChangeArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let before = named(&client, &args.integration)?;
    let mut body = json!({});
    for field in ["name", "kind", "location", "endpoint", "region", "tenant_id", "dedicated_to", "exclude", "refresh_minutes"] {
        body[field] = before[field].clone();
    }
    let given = [
        ("name", args.name.clone().map(Value::from)),
        ("kind", args.location.as_deref().map(kind_of).map(Value::from)),
        ("location", args.location.clone().map(Value::from)),
        ("endpoint", args.endpoint.clone().map(Value::from)),
        ("region", args.region.clone().map(Value::from)),
        ("dedicated_to", args.dedicated_to.as_deref().map(|name| tenant::id_of(&client, name)).transpose()?.map(Value::from)),
        ("dedicated_to", args.shared.then_some(Value::Null)),
        ("exclude", args.exclude.clone().map(Value::from)),
        ("create_tenants", args.create_tenants.map(Value::from)),
        ("refresh_minutes", args.every.map(Value::from)),
    ];
    for (field, value) in given.into_iter().filter_map(|(field, value)| Some((field, value?))) {
        body[field] = value;
    }
    let changed = client.put(&path(&before), &body)?;
    args.call.answer(&changed, || format!("{} is changed", text(&changed["name"])))
}

fn credentials(args: &CredentialsArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let found = named(&client, &args.integration)?;
    let (path, name) = (format!("{}/credentials", path(&found)), text(&found["name"]));
    let Some(access_key) = &args.access_key else {
        client.delete(&path)?;
        return args
            .call
            .answer(&json!({ "integration": found["id"], "credentials": null }), || format!("{name} has no credentials any more"));
    };
    let secret = std::env::var("AWS_SECRET_ACCESS_KEY").unwrap_or_default();
    if secret.is_empty() {
        let next = "AWS_SECRET_ACCESS_KEY in the environment: an argument would be seen by everybody on this machine";
        return Err(Failure::input("the access key's secret is missing").next(next));
    }
    let token = std::env::var("AWS_SESSION_TOKEN").ok().filter(|token| !token.is_empty());
    let set = client.put(&path, &json!({ "access_key_id": access_key, "secret_access_key": secret, "session_token": token }))?;
    args.call.answer(&set, || format!("{name} is read with the access key that ends in {}", text(&set["credentials"]["access_key_ends"])))
}

fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let found = named(&client, &args.integration)?;
    let (id, name) = (text(&found["id"]), text(&found["name"]));
    if !args.yes {
        let subaccounts = client.list(&query("/v1/subaccounts", [("integration_id", Some(id.clone()))]))?.len();
        let text = format!("deleting {name} removes its {subaccounts} subaccounts and all their bills for good");
        return Err(Failure::input(text).next(format!("rerate integration delete {id} --yes")));
    }
    client.delete(&path(&found))?;
    args.call.answer(&found, || format!("{name} ({id}) is deleted"))
}
