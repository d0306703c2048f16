//! What the demo shows: what was written, what came out, what to try next.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::setup::Times;
use crate::cli::serve::Daemon;
use crate::cli::{Failure, output};
use crate::domain::money::Amount;
use crate::generate::Generated;
use crate::generate::sample::Sample;
use crate::store::{PageRequest, TenantFilter};

pub(super) fn written(sample: &Sample, bills: &[Generated], time: Duration) {
    let rows = sample.integrations.iter().map(|integration| {
        let of = |bill: &&Generated| {
            bill.files.iter().any(|file| file.components().any(|c| c.as_os_str() == integration.folder.file_name().unwrap_or_default()))
        };
        let mine: Vec<&Generated> = bills.iter().filter(of).collect();
        let periods: Vec<&str> = mine.iter().map(|bill| bill.period.as_str()).collect();
        vec![
            integration.name.to_owned(),
            integration.folder.display().to_string(),
            periods.join(", "),
            output::count(mine.iter().map(|bill| bill.rows).sum()),
            output::bytes(mine.iter().map(|bill| bill.bytes).sum()),
        ]
    });
    output::print(&output::table(&["source", "folder", "months", ">lines", ">size"], rows));
    output::print(&format!("written in {}\n", output::duration(time)));
}

/// One line for each tenant and month, then what nobody holds, then the source: they tie out or the daemon has a defect.
pub(super) async fn margins(daemon: &Daemon) -> Result<(), Failure> {
    let names: BTreeMap<String, String> = daemon
        .store
        .tenants(&TenantFilter::default(), &PageRequest::largest())
        .await?
        .items
        .into_iter()
        .map(|tenant| (tenant.id, tenant.name))
        .collect();
    let mut rows = Vec::new();
    let mut exact = true;
    for split in daemon.store.splits(None).await? {
        let runs = daemon.store.published_runs(None, Some(split.period)).await?;
        let (mut lines, mut charges, mut billed_by_tenants, mut charged_by_tenants) = (Vec::new(), 0, Amount::ZERO, Amount::ZERO);
        let line = |who: &str, charges: u64, billed: Amount, charged: Option<Amount>| {
            let margin = charged.and_then(|charged| charged.checked_sub(billed));
            let money = |amount: Option<Amount>| amount.map_or_else(String::new, output::money);
            let share = margin.zip(charged).map_or_else(String::new, |(margin, charged)| output::percent(margin, charged));
            let period = format!("{} {}", split.period, split.currency);
            vec![period, who.to_owned(), output::count(charges), output::money(billed), money(charged), money(margin), share]
        };
        for run in runs.iter().filter(|run| run.currency == split.currency) {
            let (billed, charged) = (run.billed.unwrap_or_default(), run.charged.unwrap_or_default());
            billed_by_tenants.0 += billed.0;
            charged_by_tenants.0 += charged.0;
            charges += run.charges;
            lines.push(line(names.get(&run.tenant_id).map_or("", String::as_str), run.charges, billed, Some(charged)));
        }
        lines.sort_by(|a, b| a[1].cmp(&b[1]));
        rows.append(&mut lines);
        rows.push(line("all tenants", charges, billed_by_tenants, Some(charged_by_tenants)));
        rows.push(line("unassigned", split.unassigned_charges, split.unassigned, None));
        rows.push(line("source", split.source_charges, split.source, Some(charged_by_tenants)));
        exact &= split.balances() && billed_by_tenants.checked_add(split.unassigned) == Some(split.source);
    }
    output::print(&output::table(&["month", "tenant", ">lines", ">billed", ">charged", ">margin", ">of charged"], rows));
    if !exact {
        return Err(Failure::run("tenants and unassigned do not add up to the source: please report this"));
    }
    output::print("tenants + unassigned = source, to the last digit; commitments that the reseller bought are in unassigned\n");
    Ok(())
}

pub(super) fn speed(rows: u64, times: &Times) {
    let part = |what: &str, time: Duration| {
        format!("{what} {} ({} lines/s)", output::duration(time), output::count(output::per_second(rows, time)))
    };
    output::print(&format!("{} lines: {}, {}\n", output::count(rows), part("imported in", times.import), part("rated in", times.rate)));
}

pub(super) async fn next_steps(daemon: &Daemon, folder: &Path) -> Result<(), Failure> {
    let url = format!("http://{}/v1", daemon.address);
    let token = format!("-H \"Authorization: Bearer $(cat {})\"", quoted(&daemon.token_file));
    output::print(&format!("serving on http://{}; three things to try:\n", daemon.address));
    output::print(&format!("1. Ask for the margins, exact:\n   curl -s {token} '{url}/reports/margin?period=2026-09'\n"));
    output::print(&format!(
        "2. Drop a rule of your own into the plugins folder: checked, compiled and live at once, without a restart:\n   \
         cp {} {}/\n   curl -s {token} {url}/plugins\n",
        quoted(&folder.join(super::EXAMPLE)),
        quoted(&daemon.data.plugins()),
    ));
    let rules = daemon.store.rules(&PageRequest::largest()).await?.items;
    // By its plugin and percentage: a person may have renamed it since.
    if let Some(rule) =
        rules.iter().find(|rule| rule.plugin == "markup" && rule.config.get("tiers").is_none() && rule.config.get("services").is_none())
    {
        let now = rule.config["percent"].as_str().unwrap_or_default();
        let percent = if now == "12" { "9" } else { "12" };
        let body =
            serde_json::json!({"title": format!("Kestrel: cost plus {percent} %"), "plugin": "markup", "config": {"percent": percent}});
        output::print(&format!(
            "3. Change a rule; what it touches is rated again at once:\n   \
             curl -s -X PUT {token} -H 'Content-Type: application/json' \\\n     -d '{body}' \\\n     {url}/rules/{}\n",
            rule.id
        ));
    }
    output::print("Stop with ctrl-c.");
    Ok(())
}

/// For a shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/a.b")), "/tmp/a.b");
        assert_eq!(quoted(Path::new("/tmp/it's mine")), "'/tmp/it'\\''s mine'");
    }
}
