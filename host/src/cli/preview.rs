//! `rerate preview`: what a change would do to published months, computed by the daemon before it is made; and the previews that it keeps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Call, Client, encode};
use super::shown::text;
use super::{Failure, difference, output, tenant};
use crate::domain::json;
use crate::domain::period::Period;
use crate::jobs::preview::{ChainRuleChange, PreviewRequest, PreviewResult, RuleChange, VersionChange};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate preview --plugin my-markup.wasm --period 2026-09           a version that is not active yet
  rerate preview --rule \"5 % more\" --config new.json --tenant Acme  a rule under another configuration
  rerate preview --chain chain.toml --period 2026-08 --period 2026-09
  rerate preview --plugin my-markup.wasm --json | jq '.totals[] | {currency, before, after, delta}'
  rerate preview list                                               those that the daemon keeps: made by its API, or interrupted
  rerate preview show prv_01m8
  rerate preview delete prv_01m8

chain.toml, every rule of the chain in its order:
  [[rule]]
  title = \"Public prices\"
  plugin = \"public-price\"      # its active version, or digest = \"...\"
  rule_id = \"rul_01m8\"         # optional: the rule that it stands for
  config = { credits = \"keep\" }

Nothing is published and no bill changes. Exit code 1 when the change makes a tenant's month fail.";

/// Lines shown when nobody says how many.
const DEFAULT_TOP: usize = 10;

/// How often the daemon is asked whether it is done.
const ASKED_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group = clap::ArgGroup::new("change").args(["plugin", "rule", "chain"]).required(true))]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A version of a plugin for the rules that follow it: a component's file, or the digest of a stored one
    #[arg(long, value_name = "FILE|DIGEST", conflicts_with_all = ["rule", "chain"])]
    plugin: Option<String>,
    /// A rule, by its title or id, that is to change
    #[arg(long, value_name = "TITLE|ID", conflicts_with = "chain", requires = "config")]
    rule: Option<String>,
    /// Its other configuration, a JSON file
    #[arg(long, value_name = "FILE", requires = "rule")]
    config: Option<PathBuf>,
    /// Another chain for every tenant
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    #[command(flatten)]
    over: Over,
    /// Lines shown
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TOP)]
    top: usize,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the previews that the daemon keeps, oldest first
    List(ListArgs),
    /// Show what a preview found
    Show(OneArgs),
    /// Delete a preview; one that is being computed is stopped
    Delete(OneArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// The preview's id, as the list shows it
    #[arg(value_name = "PREVIEW")]
    preview: String,
    #[command(flatten)]
    call: Call,
}

/// Over which published months.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Over {
    /// A period, may be given several times [default: all]
    #[arg(long = "period", value_name = "YYYY-MM")]
    pub(super) periods: Vec<Period>,
    /// A tenant by its name or id, may be given several times [default: all]
    #[arg(long = "tenant", value_name = "NAME|ID")]
    tenants: Vec<String>,
}

impl Over {
    pub(super) fn request(&self, client: &Client) -> Result<PreviewRequest, Failure> {
        let mut tenants = Vec::new();
        if !self.tenants.is_empty() {
            let known = client.list("/v1/tenants")?;
            for wanted in &self.tenants {
                tenants.push(tenant::id_among(&known, wanted)?);
            }
        }
        Ok(PreviewRequest { periods: self.periods.clone(), tenants, ..PreviewRequest::default() })
    }
}

/// A chain as a person writes it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainFile {
    #[serde(default)]
    rule: Vec<ChainRule>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainRule {
    rule_id: Option<String>,
    title: String,
    plugin: String,
    digest: Option<String>,
    #[serde(default)]
    config: serde_json::Map<String, Value>,
}

impl From<ChainRule> for ChainRuleChange {
    fn from(rule: ChainRule) -> Self {
        let ChainRule { rule_id, title, plugin, digest, config } = rule;
        Self { rule_id, title, plugin, digest, config: config.into() }
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    match &args.command {
        Some(Command::List(args)) => return list(args),
        Some(Command::Show(args)) => return show(args),
        Some(Command::Delete(args)) => {
            args.call.client()?.delete(&path_of(&args.preview))?;
            return args.call.answer(&json!({ "deleted": args.preview }), || format!("{} is deleted", args.preview));
        }
        None => {}
    }
    let client = args.call.client()?;
    let mut request = PreviewRequest { top: Some(args.top), ..args.over.request(&client)? };
    if let Some(plugin) = &args.plugin {
        let (name, digest) = version_of(&client, plugin)?;
        request.plugin = Some(VersionChange { name, digest, against: None, pinned: false });
    } else if let (Some(rule), Some(config)) = (&args.rule, &args.config) {
        let config = json::read(read(config)?.as_bytes()).map_err(|error| Failure::input(format!("{}: {error}", config.display())))?;
        let rule_id = text(&super::rule::named(&client, rule)?["id"]);
        request.rules = Some(vec![RuleChange { rule_id, config: Some(config), digest: None }]);
    } else if let Some(chain) = &args.chain {
        let file: ChainFile = toml::from_str(&read(chain)?).map_err(|error| Failure::input(format!("{}: {error}", chain.display())))?;
        if file.rule.is_empty() {
            return Err(Failure::input(format!("{} has no [[rule]]", chain.display())).next("rerate preview --help shows such a file"));
        }
        request.chain = Some(file.rule.into_iter().map(ChainRuleChange::from).collect());
    }
    let result = compute(&client, &request)?;
    tell(&result, args.top, args.call.json)
}

fn path_of(preview: &str) -> String {
    format!("/v1/previews/{}", encode(preview))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let previews = args.call.client()?.list("/v1/previews")?;
    args.call.answer(&previews, || {
        let row = |preview: &Value| {
            let request = &preview["request"];
            let of = match (&request["plugin"]["name"], &request["rules"][0]["rule_id"]) {
                (Value::String(plugin), _) => format!("plugin {plugin}"),
                (_, Value::String(rule)) => format!("rule {rule}"),
                _ => "another chain".to_owned(),
            };
            vec![text(&preview["id"]), text(&preview["state"]), of, text(&preview["created_at"]), text(&preview["failure"])]
        };
        output::table(&["preview", "state", "of", "made", "failure"], previews.iter().map(row))
    })
}

fn show(args: &OneArgs) -> Result<(), Failure> {
    let preview = args.call.client()?.get(&path_of(&args.preview))?;
    if let Some(reason) = preview["failure"].as_str() {
        return Err(Failure::run(reason));
    }
    if preview["result"].is_null() {
        let (done, total) = (preview["progress_done"].to_string(), preview["progress_total"].to_string());
        return args.call.answer(&preview, || format!("{} is {}: {done} of {total} charges", args.preview, text(&preview["state"])));
    }
    let result: PreviewResult = serde_json::from_value(preview["result"].clone())?;
    tell(&result, DEFAULT_TOP, args.call.json)
}

/// Prints a result; a month that fails under the change is a failed run.
pub(super) fn tell(result: &PreviewResult, top: usize, as_json: bool) -> Result<(), Failure> {
    if as_json {
        output::print_json(result)?;
    } else {
        difference::print_preview(result, top);
    }
    output::complain(&format!("computed in {}; nothing is published", output::duration(Duration::from_millis(result.millis))));
    if result.failed > 0 {
        return Err(Failure::run(format!("{} of {} months cannot be rated under the change", result.failed, result.months.len())));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))
}

/// Has the daemon compute a preview, waits for it, and removes it.
pub(super) fn compute(client: &Client, request: &PreviewRequest) -> Result<PreviewResult, Failure> {
    let preview = client.post("/v1/previews", request)?;
    let path = format!("/v1/previews/{}", encode(preview["id"].as_str().unwrap_or_default()));
    let bar = output::Bar::new("preview", false);
    let ended = loop {
        let preview = client.get(&path)?;
        if matches!(preview["state"].as_str(), Some("done" | "failed")) {
            break preview;
        }
        let (done, total) = (preview["progress_done"].as_u64().unwrap_or(0), preview["progress_total"].as_u64().unwrap_or(0));
        bar.set(done, total, done);
        std::thread::sleep(ASKED_EVERY);
    };
    drop(bar);
    client.delete(&path)?;
    match ended["failure"].as_str() {
        Some(reason) => Err(Failure::run(reason)),
        None => Ok(serde_json::from_value(ended["result"].clone())?),
    }
}

/// The plugin and the digest of a version: a file is pushed to the daemon without making it active, a digest is one that it has.
pub(super) fn version_of(client: &Client, text: &str) -> Result<(String, String), Failure> {
    let path = Path::new(text);
    if path.is_file() {
        let bytes = std::fs::read(path).map_err(|error| Failure::input(format!("cannot read {text}: {error}")))?;
        let pushed = client.post_bytes("/v1/plugins?activate=false", "application/wasm", bytes)?;
        let part = |name: &str| pushed[name].as_str().map(str::to_owned);
        return part("name").zip(part("digest")).ok_or_else(|| Failure::run("the daemon does not say what the component is"));
    }
    let mut found = if text.len() >= DIGEST_LETTERS_MIN { versions_that_begin(client, &text.to_lowercase())? } else { BTreeSet::new() };
    match (found.pop_first(), found.len()) {
        (Some(version), 0) => Ok(version),
        (Some(_), more) => Err(Failure::input(format!("{} versions begin with {text}; write more of the digest", more + 1))),
        (None, _) => Err(Failure::input(format!("{text} is neither a file nor a version that the daemon has"))
            .next(format!("the path of a .wasm file, or {DIGEST_LETTERS_MIN} letters of a digest or more"))),
    }
}

/// A shorter text is rather a name of a file.
pub(super) const DIGEST_LETTERS_MIN: usize = 6;

/// Plugins and digests of the versions whose digest begins so, active or not.
pub(super) fn versions_that_begin(client: &Client, begins: &str) -> Result<BTreeSet<(String, String)>, Failure> {
    let mut found = BTreeSet::new();
    let mut add = |name: &Value, version: &Value| {
        let digest = version["digest"].as_str().filter(|digest| digest.starts_with(begins));
        found.extend(name.as_str().zip(digest).map(|(name, digest)| (name.to_owned(), digest.to_owned())));
    };
    // A plugin without an active version is not listed, but how its version came in is.
    for deployment in client.list("/v1/deployments?state=ready")? {
        add(&deployment["name"], &deployment);
    }
    for plugin in client.list("/v1/plugins")? {
        let versions = client.list(&format!("/v1/plugins/{}/versions", encode(plugin["name"].as_str().unwrap_or_default())))?;
        versions.iter().for_each(|version| add(&plugin["name"], version));
    }
    Ok(found)
}
