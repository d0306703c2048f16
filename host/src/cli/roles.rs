//! `rerate roles`: who may do what, as the program itself decides it.

use serde_json::json;

use super::{Failure, output};
use crate::domain::access::Role;
use crate::http::access::{Needs, TABLE};

pub const EXAMPLES: &str = "\
Examples:
  rerate roles                          what each role may do, and what each route needs
  rerate roles --json                   the same for programs: every route with the roles that may call it

No daemon is asked: it is the table that this program decides by.";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    if args.json {
        let roles = |needs: Needs| Role::ALL.into_iter().filter(|role| needs.allows(*role)).map(Role::name).collect::<Vec<_>>();
        let routes = TABLE.iter().map(|row| {
            json!({ "method": row.method, "path": row.path, "open": row.msp == Needs::Open, "msp": roles(row.msp),
                "tenant": roles(row.tenant) })
        });
        output::print_json(&routes.collect::<Vec<_>>())?;
        return Ok(());
    }
    let mark = |allowed: bool| if allowed { "yes" } else { "-" }.to_owned();
    let titles: Vec<&str> = std::iter::once("may").chain(Role::ALL.iter().rev().map(|role| role.title())).collect();
    let capabilities = Needs::CAPABILITIES.iter().map(|needs| {
        let roles = Role::ALL.iter().rev().map(|role| mark(needs.allows(*role)));
        std::iter::once(needs.title().to_owned()).chain(roles).collect()
    });
    output::print(&output::table(&titles, capabilities));
    let least = |needs: Needs| match needs {
        Needs::Open => "everybody".to_owned(),
        Needs::Nobody => "-".to_owned(),
        _ => needs.least().map_or_else(String::new, |role| role.title().to_owned()),
    };
    output::print("\nFrom which role on a route may be called: by the MSP's people, and by a tenant's people within their tenant.");
    let routes = TABLE.iter().map(|row| vec![row.method.to_owned(), row.path.to_owned(), least(row.msp), least(row.tenant)]);
    output::print(&output::table(&["method", "path", "MSP", "tenant"], routes));
    Ok(())
}
