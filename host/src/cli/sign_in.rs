//! `rerate sign-in ...`: the OpenID Connect provider through which an organisation's people sign in.

use std::str::FromStr;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Call, Client, encode, refused};
use super::shown::{items, text};
use super::{Failure, output, tenant};
use crate::domain::access::Role;
use crate::store::GroupRole;

pub const EXAMPLES: &str = "\
Examples:
  CLIENT_SECRET=... rerate sign-in set msp --issuer https://login.msp.example --client-id rerate --secret-env CLIENT_SECRET \\
      --group finance=viewer --group operations=owner --just-in-time
  rerate sign-in set Acme --enforced true            what is not named stays as it is
  rerate sign-in show Acme                           with the address to register at the provider
  rerate sign-in delete Acme

ORGANISATION is msp, or a tenant's name or id. The secret is read from the environment, kept encrypted, and never shown.";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show an organisation's provider
    Show(OneArgs),
    /// Set or change an organisation's provider, after looking whether it can work
    Set(Box<SetArgs>),
    /// Take an organisation's provider away: whoever came in through it is signed out
    Delete(OneArgs),
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// msp, or a tenant's name or id
    organisation: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// msp, or a tenant's name or id
    organisation: String,
    /// The provider, as its description spells it
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// As the provider knows this daemon
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The environment's variable that holds the client's secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// It is a public client, without any secret
    #[arg(long, conflicts_with = "secret_env")]
    public_client: bool,
    /// Asked for beside openid; again for more of them
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The claim that lists a person's groups
    #[arg(long, value_name = "CLAIM")]
    group_claim: Option<String>,
    /// What the people of one of the provider's groups are; again for more, the first that fits counts
    #[arg(long = "group", value_name = "GROUP=ROLE")]
    groups: Vec<Group>,
    /// Whether passwords are refused for this organisation
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    enforced: Option<bool>,
    /// Whether people become members at their first sign-in
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    just_in_time: Option<bool>,
    /// Whether an address counts that the provider does not say it has checked
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    unverified_email: Option<bool>,
    #[command(flatten)]
    call: Call,
}

/// `finance=viewer`
#[derive(Clone, Debug)]
struct Group(GroupRole);

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (group, role) = text.rsplit_once('=').ok_or_else(|| "a group and a role: finance=viewer".to_owned())?;
        let role: Role = role.parse().map_err(|error: crate::domain::access::NotARole| error.to_string())?;
        Ok(Self(GroupRole { group: group.to_owned(), role }))
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Show(args) => {
            let client = args.call.client()?;
            let settings = find(&client, &path(&client, &args.organisation)?)?;
            told(&args.call, &settings.ok_or_else(|| none(&args.organisation))?)
        }
        Command::Set(args) => set(&args),
        Command::Delete(args) => {
            let client = args.call.client()?;
            let path = path(&client, &args.organisation)?;
            let settings = find(&client, &path)?.ok_or_else(|| none(&args.organisation))?;
            client.delete(&path)?;
            args.call.answer(&settings, || format!("{} has no sign-in provider any more; passwords count", args.organisation))
        }
    }
}

fn none(organisation: &str) -> Failure {
    Failure::input(format!("{organisation} has no sign-in provider")).next("rerate sign-in set --help")
}

fn path(client: &Client, organisation: &str) -> Result<String, Failure> {
    let is_msp = organisation.trim().eq_ignore_ascii_case("msp");
    let id = if is_msp { "msp".to_owned() } else { tenant::id_of(client, organisation)? };
    Ok(format!("/v1/organisations/{}/sign-in", encode(&id)))
}

fn find(client: &Client, path: &str) -> Result<Option<Value>, Failure> {
    let answer = client.call(&Method::GET, path, None)?;
    match answer.status {
        404 => Ok(None),
        _ if answer.is_success() => Ok(Some(answer.body)),
        status => Err(refused(status, &answer.body)),
    }
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let client = args.call.client()?;
    let path = path(&client, &args.organisation)?;
    let before = find(&client, &path)?;
    if before.is_none() && (args.issuer.is_none() || args.client_id.is_none()) {
        let text = format!("{} has no sign-in provider yet: say which", args.organisation);
        return Err(Failure::input(text).next("--issuer URL --client-id ID"));
    }
    let before = before.unwrap_or_default();
    let mut body = json!({});
    for field in ["issuer", "client_id", "scopes", "group_claim", "roles", "enforced", "just_in_time", "unverified_email"] {
        if !before[field].is_null() {
            body[field] = before[field].clone();
        }
    }
    let groups = args.groups.iter().map(|group| &group.0).collect::<Vec<_>>();
    let given = [
        ("issuer", args.issuer.clone().map(Value::from)),
        ("client_id", args.client_id.clone().map(Value::from)),
        ("scopes", (!args.scopes.is_empty()).then(|| args.scopes.clone().into())),
        ("group_claim", args.group_claim.clone().map(Value::from)),
        ("roles", (!groups.is_empty()).then(|| json!(groups))),
        ("enforced", args.enforced.map(Value::from)),
        ("just_in_time", args.just_in_time.map(Value::from)),
        ("unverified_email", args.unverified_email.map(Value::from)),
        ("client_secret", args.secret_env.as_deref().map(secret).transpose()?.map(Value::from)),
        ("client_secret", args.public_client.then_some(Value::Null)),
    ];
    for (field, value) in given.into_iter().filter_map(|(field, value)| Some((field, value?))) {
        body[field] = value;
    }
    told(&args.call, &client.put(&path, &body)?)
}

/// A secret from the environment: an argument would be seen by everybody on the machine.
fn secret(name: &str) -> Result<String, Failure> {
    let found = std::env::var(name).unwrap_or_default();
    if found.is_empty() {
        return Err(Failure::input(format!("the environment has no {name}")).next(format!("{name}=... rerate sign-in set ...")));
    }
    Ok(found)
}

fn told(call: &Call, settings: &Value) -> Result<(), Failure> {
    call.answer(settings, || {
        let role = |mapped: &Value| format!("{} is {}", text(&mapped["group"]), text(&mapped["role"]));
        let joined = |values: Vec<String>| values.join(", ");
        let yes = |field: &str| if settings[field] == true { "yes" } else { "no" }.to_owned();
        let rows = [
            ("issuer", text(&settings["issuer"])),
            ("client", text(&settings["client_id"])),
            ("secret is kept", yes("has_secret")),
            ("scopes", joined(items(&settings["scopes"]).iter().map(text).collect())),
            ("groups in", text(&settings["group_claim"])),
            ("roles", joined(items(&settings["roles"]).iter().map(role).collect())),
            ("passwords refused", yes("enforced")),
            ("members at first sign-in", yes("just_in_time")),
            ("unchecked addresses count", yes("unverified_email")),
            ("register at the provider", text(&settings["redirect_uri"])),
            ("people begin at", text(&settings["begin"])),
        ];
        output::table(&["", ""], rows.map(|(title, value)| vec![title.to_owned(), value]))
    })
}
