//! `rerate integration ...`: where a daemon's bills come from, and the key under which their credentials are stored.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs, encode};
use super::{Failure, output, tenant};

pub const EXAMPLES: &str = "\
Examples:
  rerate integration create aws-one --location /srv/bills/aws-one
  rerate integration create acme --location s3://bills/acme --region eu-central-1 --dedicated-to \"Acme GmbH\" --exclude 'sandbox-*'
  AWS_SECRET_ACCESS_KEY=... rerate integration credentials acme --access-key AKIA...
  rerate integration refresh acme
  rerate integration rotate-key                          encrypt all credentials with a new key";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List integrations and how they are doing
    List(ListArgs),
    /// Make an integration; its bills are read at once
    Create(CreateArgs),
    /// Look for new bills now
    Refresh(OneArgs),
    /// Set what opens an integration's bucket; the secret is taken from the environment
    Credentials(CredentialsArgs),
    /// Delete an integration with its subaccounts and bills, for good
    Delete(DeleteArgs),
    /// Encrypt all stored credentials with a new key
    RotateKey(RotateArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[command(flatten)]
    server: ServerArgs,
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
    /// Minutes between two looks that nobody asks for
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    every: u32,
    /// Print the integration as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    integration: String,
}

#[derive(Debug, clap::Args)]
struct CredentialsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    integration: String,
    /// The access key's id; its secret is read from AWS_SECRET_ACCESS_KEY, a session token from AWS_SESSION_TOKEN
    #[arg(long, value_name = "ID", conflicts_with = "remove", required_unless_present = "remove")]
    access_key: Option<String>,
    /// Remove what there is
    #[arg(long)]
    remove: bool,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// By name or id
    #[arg(value_name = "NAME|ID")]
    integration: String,
    /// Do not ask for more
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
struct RotateArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Create(args) => create(&args),
        Command::Refresh(args) => {
            let client = Client::new(&args.server)?;
            let found = find(&client, &args.integration)?;
            client.post(&format!("/v1/integrations/{}/refresh", encode(text(&found["id"]))), &json!({}))?;
            output::print(&format!("looking for new bills of {}", text(&found["name"])));
            Ok(())
        }
        Command::Credentials(args) => credentials(&args),
        Command::Delete(args) => delete(&args),
        Command::RotateKey(args) => {
            let done = Client::new(&args.server)?.post("/v1/secrets/rotate", &json!({}))?;
            let count = output::count(done["sealed_again"].as_u64().unwrap_or_default());
            output::print(&format!("{count} credentials are encrypted with the new key"));
            Ok(())
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn find(client: &Client, wanted: &str) -> Result<Value, Failure> {
    let known = client.list("/v1/integrations")?;
    let is = |found: &&Value| text(&found["id"]) == wanted || text(&found["name"]).to_lowercase() == wanted.trim().to_lowercase();
    let found = known.iter().find(is).cloned();
    found.ok_or_else(|| Failure::input(format!("there is no integration {wanted}")).next("rerate integration list"))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let found = client.list("/v1/integrations")?;
    if args.json {
        return Ok(output::print_json(&found)?);
    }
    let tenants = client.list("/v1/tenants")?;
    let name = |id: &Value| tenants.iter().find(|tenant| tenant["id"] == *id).map(|tenant| text(&tenant["name"]).to_owned());
    let rows = found.iter().map(|i| {
        let owner = name(&i["tenant_id"]).unwrap_or_else(|| "MSP".to_owned());
        let for_whom = name(&i["dedicated_to"]).or_else(|| name(&i["tenant_id"])).unwrap_or_else(|| "shared".to_owned());
        vec![
            text(&i["name"]).to_owned(),
            owner,
            for_whom,
            text(&i["status"]).to_owned(),
            text(&i["last_refresh_at"]).to_owned(),
            text(&i["error"]).to_owned(),
        ]
    });
    output::print(&output::table(&["Integration", "Owner", "For", "Status", "Refreshed", "Error"], rows));
    Ok(())
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let id = |tenant: &Option<String>| tenant.as_deref().map(|name| tenant::id_of(&client, name)).transpose();
    let body = json!({
        "name": args.name,
        "kind": if args.location.starts_with("s3://") { "s3" } else { "folder" },
        "location": args.location,
        "endpoint": args.endpoint,
        "region": args.region,
        "tenant_id": id(&args.tenant)?,
        "dedicated_to": id(&args.dedicated_to)?,
        "exclude": args.exclude,
        "refresh_minutes": args.every,
    });
    let made = client.post("/v1/integrations", &body)?;
    if args.json {
        return Ok(output::print_json(&made)?);
    }
    output::print(&format!("{} is {}; its bills are being read", text(&made["name"]), text(&made["id"])));
    Ok(())
}

fn credentials(args: &CredentialsArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let found = find(&client, &args.integration)?;
    let path = format!("/v1/integrations/{}/credentials", encode(text(&found["id"])));
    let name = text(&found["name"]);
    let Some(access_key) = &args.access_key else {
        client.delete(&path)?;
        output::print(&format!("{name} has no credentials any more"));
        return Ok(());
    };
    let secret = std::env::var("AWS_SECRET_ACCESS_KEY").unwrap_or_default();
    if secret.is_empty() {
        let next = "AWS_SECRET_ACCESS_KEY in the environment: an argument would be seen by everybody on this machine";
        return Err(Failure::input("the access key's secret is missing").next(next));
    }
    let token = std::env::var("AWS_SESSION_TOKEN").ok().filter(|token| !token.is_empty());
    let set = client.put(&path, &json!({ "access_key_id": access_key, "secret_access_key": secret, "session_token": token }))?;
    output::print(&format!("{name} is read with the access key that ends in {}", text(&set["credentials"]["access_key_ends"])));
    Ok(())
}

fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let found = find(&client, &args.integration)?;
    let (id, name) = (text(&found["id"]), text(&found["name"]));
    if !args.yes {
        let subaccounts = client.list(&format!("/v1/subaccounts?integration_id={}", encode(id)))?.len();
        let text = format!("deleting {name} removes its {subaccounts} subaccounts and all their bills for good");
        return Err(Failure::input(text).next(format!("rerate integration delete {id} --yes")));
    }
    client.delete(&format!("/v1/integrations/{}", encode(id)))?;
    output::print(&format!("{name} ({id}) is deleted"));
    Ok(())
}
