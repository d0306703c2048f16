use super::super::file::UserRole;
use super::*;
use crate::domain::access::Role;

const FILE: &str = r#"
domains = ["msp.example"]
signing_policy = "warn"

[[key]]
name = "Release team"
public_key = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

[[tenant]]
name = "Holding"
kind = "organisation"

[[tenant]]
name = "Acme"
contact_email = "cloud+acme@msp.example"
organisation = "Holding"
quota = { time_ms = 60000 }
subaccounts = [{ integration = "aws", account = "111" }]

[[integration]]
name = "aws"
kind = "folder"
location = "/bills/aws"

[[cost_center]]
tenant = "Acme"
name = "Research"
subaccounts = [{ integration = "aws", account = "111" }]

[[virtual]]
name = "Web team"
where = [{ column = "Tags.team", is_in = ["web"] }]

[[rule]]
title = "5 % more"
plugin = "markup"
config = { percent = "5" }

[[rule]]
title = "List prices"
plugin = "public-price"

[[assignment]]
rule = "List prices"

[[assignment]]
rule = "5 % more"
tenant = "Acme"
from = "2026-09"

[[user]]
email = "ann@msp.example"
name = "Ann"
roles = [{ organisation = "msp", role = "editor" }, { organisation = "Acme", role = "viewer", cost_centers = ["Research"] }]

[[team]]
name = "North"
members = ["ann@msp.example"]
tenants = ["Acme"]

[[sign_in]]
organisation = "Acme"
issuer = "https://login.acme.example"
client_id = "rerate"
client_secret_env = "ACME_SECRET"
roles = [{ group = "finance", role = "editor" }]
"#;

/// A daemon where one tenant holds everything.
struct Holder(Option<&'static str>);

impl Known for Holder {
    fn holder(&self, _: &Held) -> Option<String> {
        self.0.map(str::to_owned)
    }

    fn has_secret(&self, _: &str) -> bool {
        self.0.is_some()
    }
}

const NOBODY: Holder = Holder(None);
const ACME: Holder = Holder(Some("acme"));

fn file() -> Organisation {
    toml::from_str(FILE).unwrap()
}

fn told(steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| {
        let (sign, noun, name, detail) = step.told();
        format!("{sign} {noun} {name} {detail}").trim_end().to_owned()
    };
    steps.iter().map(line).collect()
}

#[test]
fn everything_is_made_in_an_order_in_which_it_can_be() {
    let mut wanted = file();
    wanted.tenants[1].state = "unlinked".to_owned();
    let expected = [
        "~ domains msp.example",
        "+ tenant Holding",
        "+ tenant Acme cloud+acme@msp.example",
        "~ quota Acme time_ms 60000",
        "+ integration aws /bills/aws",
        "+ rule 5 % more markup {\"percent\":\"5\"}",
        "+ rule List prices public-price {}",
        "~ subaccount 111 of aws to Acme",
        "+ cost center Research of Acme: 111",
        "+ virtual integration Web team [{\"column\":\"Tags.team\",\"is_in\":[\"web\"]}]",
        "+ assignment List prices all tenants",
        "+ assignment 5 % more Acme from 2026-09",
        "+ user ann@msp.example Ann, editor in the MSP",
        "~ user ann@msp.example viewer in Acme, only Research",
        "+ team North Acme",
        "+ sign-in Acme https://login.acme.example, its secret from ACME_SECRET",
        "+ key Release team ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "~ signing policy warn",
        // Nothing of an unlinked tenant could be changed.
        "~ tenant Acme unlinked",
    ];
    assert_eq!(told(&plan(&Organisation::default(), &wanted, &NOBODY, false)), expected);
}

#[test]
fn what_is_so_already_needs_nothing() {
    assert_eq!(plan(&file(), &file(), &ACME, true), []);
    let mut shouted = file();
    shouted.integrations[0].dedicated_to = Some("ACME".to_owned());
    let mut now = file();
    now.integrations[0].dedicated_to = Some("Acme".to_owned());
    shouted.assignments.as_mut().unwrap()[1].tenant = Some("ACME".to_owned());
    shouted.users[0].roles[1].organisation = "ACME".to_owned();
    shouted.users[0].roles[1].cost_centers = Some(vec!["research".to_owned()]);
    shouted.teams[0].tenants = vec!["acme ".to_owned()];
    shouted.cost_centers[0].tenant = "acme".to_owned();
    shouted.sign_ins[0].organisation = "ACME".to_owned();
    assert_eq!(plan(&now, &shouted, &ACME, true), [], "names are compared without their case");
}

#[test]
fn what_the_file_leaves_out_goes_only_when_it_is_to_be_pruned() {
    let mut wanted = file();
    wanted.tenants.remove(1);
    wanted.cost_centers.clear();
    wanted.sign_ins.clear();
    wanted.teams.clear();
    wanted.assignments.as_mut().unwrap().pop();
    wanted.users[0].roles.remove(1);
    let end = "- assignment 5 % more Acme from 2026-09";
    assert_eq!(told(&plan(&file(), &wanted, &NOBODY, false)), [end, "- role ann@msp.example viewer in Acme, only Research"]);
    // The role, the cost center and the sign-in go with the tenant; the team is emptied, since Ann stays and will see more.
    assert_eq!(told(&plan(&file(), &wanted, &NOBODY, true)), [end, "- tenant Acme", "~ team North", "- team North"]);
    wanted.users.clear();
    assert_eq!(told(&plan(&file(), &wanted, &NOBODY, true)), [end, "- tenant Acme", "- user ann@msp.example", "- team North"]);
}

#[test]
fn everything_goes_after_what_needs_it() {
    let wanted = Organisation::default();
    let expected = [
        "- virtual integration Web team",
        "- integration aws",
        "- tenant Acme",
        "- tenant Holding",
        "- user ann@msp.example",
        "- team North",
        "- rule 5 % more",
        "- assignment List prices all tenants",
        "- rule List prices",
        "- key ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ];
    assert_eq!(told(&plan(&file(), &wanted, &ACME, true)), expected);
    // In a tenant that stays, what is the tenant's goes by itself, and a cost center after the roles that are limited to it.
    let tenants = file().tenants;
    let steps = told(&plan(&file(), &Organisation { tenants, ..Organisation::default() }, &ACME, true));
    let at = |line: &str| steps.iter().position(|step| step == line).unwrap_or_else(|| panic!("{line} is not in {steps:#?}"));
    assert!(at("- user ann@msp.example") < at("- cost center Research of Acme"));
    at("- sign-in Acme");
}

#[test]
fn assignments_are_ended_made_and_put_in_the_files_order() {
    let mut wanted = file();
    let list = wanted.assignments.as_mut().unwrap();
    list.reverse();
    assert_eq!(told(&plan(&file(), &wanted, &ACME, false)), ["~ assignments order 5 % more, List prices"]);
    wanted.assignments.as_mut().unwrap()[0].from = None;
    let expected = ["- assignment 5 % more Acme from 2026-09", "+ assignment 5 % more Acme", "~ assignments order 5 % more, List prices"];
    assert_eq!(told(&plan(&file(), &wanted, &ACME, false)), expected);
}

#[test]
fn an_account_moves_from_who_holds_it_and_one_that_is_not_listed_is_released() {
    let mut wanted = file();
    wanted.tenants[1].subaccounts = Some(vec![Held { integration: "aws".to_owned(), account: "222".to_owned(), from: None }]);
    let steps = told(&plan(&file(), &wanted, &Holder(Some("Bolt")), false));
    assert_eq!(steps, ["- subaccount 111 of aws released", "~ subaccount 222 of aws to Acme, given up by Bolt"]);
}

#[test]
fn somebody_is_made_an_owner_before_another_ceases_to_be_one() {
    let role = |role: Role| vec![UserRole { organisation: "msp".to_owned(), role, cost_centers: None }];
    let mut now = file();
    now.users[0].roles = role(Role::Owner);
    let mut wanted = now.clone();
    wanted.users[0].roles = role(Role::Viewer);
    let mut bob = wanted.users[0].clone();
    (bob.email, bob.name, bob.roles) = ("bob@msp.example".to_owned(), "Bob".to_owned(), role(Role::Owner));
    wanted.users.push(bob);
    let expected = ["+ user bob@msp.example Bob, owner in the MSP", "~ user ann@msp.example viewer in the MSP"];
    assert_eq!(told(&plan(&now, &wanted, &ACME, false)), expected);
}

#[test]
fn a_clients_secret_is_sent_where_there_is_none_or_the_client_is_another() {
    let secrets = |now: &Organisation, wanted: &Organisation, known: &Holder| {
        plan(now, wanted, known, false).iter().filter_map(Step::secret_env).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut wanted = file();
    assert_eq!(secrets(&Organisation::default(), &wanted, &NOBODY), ["ACME_SECRET"]);
    assert_eq!(secrets(&file(), &wanted, &NOBODY), ["ACME_SECRET"]);
    wanted.sign_ins[0].enforced = true;
    assert_eq!(secrets(&file(), &wanted, &ACME), [""; 0], "the stored one stays");
    wanted.sign_ins[0].client_id = "another".to_owned();
    assert_eq!(secrets(&file(), &wanted, &ACME), ["ACME_SECRET"]);
    wanted.sign_ins[0].client_secret_env = None;
    assert_eq!(secrets(&file(), &wanted, &ACME), [""; 0]);
}
