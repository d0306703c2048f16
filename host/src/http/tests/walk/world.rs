//! Two tenants with a full set of things each, and people of every role on both sides.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::*;
use crate::domain::access::{Organisation, Role};
use crate::jobs::{DataDir, Jobs, Options, Wake};
use crate::signin::cookie;
use crate::signin::secret::Secret;
use crate::store::{
    Assign, AssignmentFields, ClientSecret, CostCenterFields, Dump, IntegrationFields, IntegrationKind, InvitationFields, MembershipFields,
    NewRun, NewSession, NewToken, Origin, PageRequest, RuleFields, Session, SignInFields, Subaccount, SubaccountFilter, TeamFields,
    TenantFields, TenantKind, UserFields,
};

/// The month that is rated.
pub(super) const MONTH: &str = "2026-08";

/// A tenant with its things. Everything that is its own has the marker in its name.
pub(super) struct Side {
    pub(super) marker: &'static str,
    pub(super) tenant: String,
    /// An organisation that customers of this side may belong to.
    pub(super) group: String,
    pub(super) team: String,
    pub(super) integration: String,
    pub(super) subaccount: String,
    pub(super) snapshot: String,
    pub(super) run: String,
    /// Of one of its charges.
    pub(super) key: String,
    /// Of the second page of its charges.
    pub(super) cursor: String,
    /// Every id that is its own, also of what was made later.
    ids: Mutex<Vec<String>>,
}

impl Side {
    pub(super) fn own(&self, id: &str) -> String {
        self.ids.lock().unwrap().push(id.to_owned());
        id.to_owned()
    }

    /// What of this side a text tells, beside what was said by who asked.
    pub(super) fn told_by(&self, text: &str, asked: &str) -> Option<String> {
        let text = text.to_lowercase();
        let ids = self.ids.lock().unwrap();
        let words = ids.iter().map(String::as_str).chain([self.marker]);
        words.filter(|word| !asked.contains(word)).find(|word| text.contains(word)).map(str::to_owned)
    }
}

/// Somebody of a role.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) user: String,
    pub(super) home: Organisation,
    pub(super) role: Role,
    /// The tenant in which they act as Manager User.
    pub(super) acting: Option<String>,
}

impl Caller {
    pub(super) fn organisation(&self) -> Organisation {
        self.acting.clone().map_or_else(|| self.home.clone(), Organisation::Tenant)
    }

    /// Whether nothing is hidden from them.
    pub(super) fn sees_everything(&self) -> bool {
        self.home == Organisation::Msp && self.role == Role::Owner && self.acting.is_none()
    }
}

pub(super) struct World {
    pub(super) app: TestApp,
    /// Whose people call.
    pub(super) own: Side,
    pub(super) other: Side,
    pub(super) rule: String,
    /// An integration of the MSP that brings a subaccount whenever one is wanted.
    spare: String,
    counter: AtomicU64,
    pub(super) faults: Mutex<Vec<String>>,
}

impl World {
    pub(super) async fn new() -> Self {
        let app = TestApp::new().await;
        let data = Arc::new(DataDir::open(&app.folder.path().join("data")).unwrap());
        let state = app.state.clone().with_data(Arc::clone(&data));
        let app = TestApp { router: router(state.clone()), state, ..app };
        let store = &app.state.store;
        let component = crate::plugins::builtin::builtin("exclusion").unwrap().component.to_vec();
        app.state.plugins.deploy(component, Origin::Builtin, "exclusion").await.unwrap();
        let config = json!({"where": [{"column": "ChargeCategory", "is_in": ["Tax"]}]});
        let fields = RuleFields { title: "No tax".to_owned(), plugin: "exclusion".to_owned(), pinned_digest: None, config };
        let rule = store.rule_create(&fields).await.unwrap().id;
        let lines = [("amber-1", "1.5"), ("amber-1", "2.5"), ("birch-1", "4"), ("birch-1", "8"), ("nobodys", "16")];
        let shared = bill(&app, "shared", &lines, None).await;
        let spare = bill(&app, "spare", &[("spare", "1")], None).await;
        let own = Box::pin(side(&app, "amber")).await;
        let other = Box::pin(side(&app, "birch")).await;
        let (options, wake) = (Options { workers: 1, ..Options::default() }, Wake::default());
        let jobs = Jobs::start(store.clone(), Arc::clone(&app.state.plugins), data, app.state.events.clone(), wake, options).await.unwrap();
        jobs.idle().await;
        let mut world = Self { app, own, other, rule, spare, counter: AtomicU64::new(1), faults: Mutex::default() };
        for (side, account) in [(&world.own, "amber-1"), (&world.other, "birch-1")] {
            let subaccount = world.subaccount_named(&shared, account).await;
            world.give(&subaccount.id, &side.tenant).await;
        }
        jobs.poke(Change::Subaccounts);
        jobs.idle().await;
        jobs.stop().await; // from here on nothing changes but by who calls
        world.own = world.rated(&world.own).await;
        world.other = world.rated(&world.other).await;
        world.app.told();
        world
    }

    /// The side with what importing and rating gave it.
    async fn rated(&self, side: &Side) -> Side {
        let store = &self.app.state.store;
        let subaccount = self.all_subaccounts().await.into_iter().find(|s| s.sub_account_id == format!("{}-1", side.marker)).unwrap();
        let snapshots = store.snapshots(Some(&side.integration), None, &PageRequest::default()).await.unwrap();
        let runs = store.published_runs(Some(&side.tenant), Some(MONTH.parse().unwrap())).await.unwrap();
        assert_eq!((runs.len(), snapshots.items.len()), (1, 1), "{}", side.marker);
        let page = self.app.get(&format!("/v1/tenants/{}/lines?period={MONTH}&limit=1", side.tenant)).await.ok(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut ids = side.ids.lock().unwrap().clone();
        ids.extend([subaccount.id.clone(), snapshots.items[0].id.clone(), runs[0].id.clone()]);
        Side {
            marker: side.marker,
            tenant: side.tenant.clone(),
            group: side.group.clone(),
            team: side.team.clone(),
            integration: side.integration.clone(),
            subaccount: subaccount.id,
            snapshot: snapshots.items[0].id.clone(),
            run: runs[0].id.clone(),
            key: text(&page["items"][0]["key"]),
            cursor: text(&page["next"]),
            ids: Mutex::new(ids),
        }
    }

    async fn all_subaccounts(&self) -> Vec<Subaccount> {
        self.app.state.store.subaccounts(&SubaccountFilter::default(), &PageRequest::largest()).await.unwrap().items
    }

    async fn subaccount_named(&self, integration: &str, account: &str) -> Subaccount {
        let is = |s: &Subaccount| s.integration_id == integration && s.sub_account_id == account;
        self.all_subaccounts().await.into_iter().find(is).unwrap()
    }

    async fn give(&self, subaccount: &str, tenant: &str) {
        let wanted = Assign { subaccounts: vec![subaccount.to_owned()], tenant_id: Some(tenant.to_owned()), ..Assign::default() };
        self.app.state.store.subaccounts_assign(&wanted).await.unwrap();
    }

    pub(super) fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Somebody of this role in an organisation; of the MSP's, somebody whose team has the own tenant only.
    pub(super) async fn caller(&self, home: &Organisation, role: Role) -> Caller {
        let user = self.member(&format!("caller{}@walk.example", self.next()), home, role).await;
        if *home == Organisation::Msp {
            self.team_gains(&self.own, Some(&user), None).await;
        }
        Caller { user, home: home.clone(), role, acting: None }
    }

    async fn member(&self, email: &str, organisation: &Organisation, role: Role) -> String {
        let fields = UserFields { email: email.to_owned(), name: email.to_owned(), password_hash: None };
        let membership = MembershipFields { organisation: organisation.clone(), role, cost_centers: None };
        self.app.state.store.user_add(&fields, &membership).await.unwrap().0.id
    }

    async fn team_gains(&self, side: &Side, user: Option<&str>, tenant: Option<&str>) {
        let store = &self.app.state.store;
        let mut team = store.team(&side.team).await.unwrap();
        team.members.extend(user.map(str::to_owned));
        team.tenants.extend(tenant.map(str::to_owned));
        let fields = TeamFields { name: team.name, members: team.members, tenants: team.tenants };
        store.team_update(&side.team, &fields, None).await.unwrap();
    }

    pub(super) async fn signed_in(&self, user: &str, organisation: &Organisation) -> (Session, Secret) {
        let store = &self.app.state.store;
        let secret = Secret::new(&store.clock().random(), "");
        let new = NewSession { user_id: user.to_owned(), organisation: organisation.clone(), sha256: secret.hash(), issuer: None };
        (store.session_begin(&new).await.unwrap(), secret)
    }

    /// A browser in which the caller has just signed in: the headers of its calls.
    pub(super) async fn browser(&self, caller: &Caller) -> [(&'static str, String); 2] {
        let (session, secret) = self.signed_in(&caller.user, &caller.home).await;
        if let Some(tenant) = &caller.acting {
            self.app.state.store.session_enter(&session.id, Some(tenant)).await.unwrap();
        }
        [("cookie", format!("{}={}", cookie::NAME, secret.text())), ("rerate-csrf", cookie::proof(secret.text()))]
    }

    /// Every row of every table.
    pub(super) async fn everything(&self) -> Vec<(String, Vec<Value>)> {
        let mut dump = Dump::open(&self.app.folder.path().join("rerate.db").display().to_string()).await.unwrap();
        let mut all = Vec::new();
        for table in dump.tables().await.unwrap() {
            let mut rows = Vec::new();
            let each = |row| {
                rows.push(Value::Object(row));
                Ok::<_, crate::store::StoreError>(())
            };
            dump.rows(&table, each).await.unwrap();
            all.push((table, rows));
        }
        all
    }
}

/// What is made anew for a call that may take it away.
impl World {
    pub(super) async fn fresh_tenant(&self, side: &Side) -> String {
        let fields = TenantFields { name: format!("{} {}", side.marker, self.next()), ..TenantFields::default() };
        let tenant = side.own(&self.app.state.store.tenant_create(&fields).await.unwrap().id);
        self.team_gains(side, None, Some(&tenant)).await;
        tenant
    }

    pub(super) async fn fresh_user(&self, side: &Side) -> String {
        let email = format!("u{}@{}.example", self.next(), side.marker);
        side.own(&self.member(&email, &Organisation::Tenant(side.tenant.clone()), Role::Viewer).await)
    }

    /// Of somebody of the tenant.
    pub(super) async fn fresh_session(&self, side: &Side) -> String {
        let user = self.fresh_user(side).await;
        side.own(&self.signed_in(&user, &Organisation::Tenant(side.tenant.clone())).await.0.id)
    }

    pub(super) async fn fresh_cost_center(&self, side: &Side) -> String {
        let fields = CostCenterFields { name: format!("{} {}", side.marker, self.next()), subaccounts: vec![side.subaccount.clone()] };
        side.own(&self.app.state.store.cost_center_create(&side.tenant, &fields).await.unwrap().id)
    }

    pub(super) async fn fresh_invitation(&self, side: &Side) -> String {
        let number = self.next();
        let organisation = Organisation::Tenant(side.tenant.clone());
        let membership = MembershipFields { organisation, role: Role::Viewer, cost_centers: None };
        let email = format!("i{number}@{}.example", side.marker);
        let fields = InvitationFields { email, membership, sha256: format!("{number:064}") };
        side.own(&self.app.state.store.invitation_create(&fields).await.unwrap().id)
    }

    /// A token of somebody in an organisation, or of a service.
    pub(super) async fn fresh_token(&self, side: &Side, organisation: &Organisation, user: Option<&str>) -> String {
        let secret = Secret::new(&self.app.state.store.clock().random(), auth::PREFIX);
        let new = NewToken {
            name: format!("{} {}", side.marker, self.next()),
            sha256: secret.hash(),
            shown: secret.shown(),
            user_id: user.map(str::to_owned),
            organisation: organisation.clone(),
            role: Role::Viewer,
            virtual_integration_id: None,
            expires_at: None,
        };
        side.own(&self.app.state.store.token_create(&new).await.unwrap().id)
    }

    /// A bucket of the tenant's own, with credentials.
    pub(super) async fn fresh_integration(&self, side: &Side) -> (String, Value) {
        let number = self.next();
        let (name, location) = (format!("{} {number}", side.marker), format!("s3://{}-{number}", side.marker));
        let fields = IntegrationFields {
            name: name.clone(),
            kind: IntegrationKind::S3,
            location: location.clone(),
            tenant_id: Some(side.tenant.clone()),
            ..IntegrationFields::default()
        };
        let id = side.own(&self.app.state.store.integration_create(&fields).await.unwrap().id);
        self.app.state.store.credentials_set(&id, "sealed", "1234", None).await.unwrap();
        (id, json!({"name": name, "kind": "s3", "location": location}))
    }

    pub(super) async fn fresh_subaccount(&self, side: &Side) -> String {
        let store = &self.app.state.store;
        let import = store.import_begin(&self.spare, "digest", None).await.unwrap();
        let account = format!("{}-s{}", side.marker, self.next());
        let subaccount = SubaccountContent {
            billing_account_id: "999".to_owned(),
            sub_account_id: account.clone(),
            name: account.clone(),
            provider: "AWS".to_owned(),
            currency: "USD".to_owned(),
            charges: 1,
            billed: "1".parse().unwrap(),
        };
        let content = PeriodContent {
            period: "2026-01".parse().unwrap(),
            parts: Vec::new(),
            charges: 1,
            totals: Vec::new(),
            report: json!({}),
            subaccounts: vec![subaccount],
        };
        side.own(&store.import_publish(&import.id, &[content]).await.unwrap()[0].id);
        let subaccount = self.subaccount_named(&self.spare, &account).await;
        self.give(&subaccount.id, &side.tenant).await;
        side.own(&subaccount.id)
    }

    pub(super) async fn fresh_failed_run(&self, side: &Side) -> String {
        let store = &self.app.state.store;
        let new = NewRun {
            tenant_id: side.tenant.clone(),
            period: "2026-01".parse().unwrap(),
            currency: "USD".to_owned(),
            identity: format!("{}", self.next()),
            chain: Vec::new(),
            snapshots: Vec::new(),
        };
        let run = store.run_enqueue(&new).await.unwrap();
        store.run_start(&run.id).await.unwrap();
        store.run_fail(&run.id, &format!("{} failed", side.marker)).await.unwrap();
        side.own(&run.id)
    }

    pub(super) async fn fresh_assignment(&self, side: &Side) -> String {
        let tenant_id = Some(side.tenant.clone());
        let fields = AssignmentFields { rule_id: self.rule.clone(), tenant_id, position: None, from_period: None, to_period: None };
        side.own(&self.app.state.store.assignment_create(&fields, None).await.unwrap().id)
    }

    /// The tenant's provider, put back if it was taken away.
    pub(super) async fn provider(&self, side: &Side) {
        let fields = SignInFields {
            issuer: format!("https://login.{}.example", side.marker),
            client_id: "rerate".to_owned(),
            secret: ClientSecret::None,
            scopes: vec!["email".to_owned()],
            group_claim: "groups".to_owned(),
            roles: Vec::new(),
            enforced: false,
            just_in_time: false,
            unverified_email: false,
        };
        self.app.state.store.sign_in_put(&Organisation::Tenant(side.tenant.clone()), &fields, None).await.unwrap();
    }
}

/// An integration over a folder with one FOCUS bill: (account, billed) a line.
async fn bill(app: &TestApp, name: &str, lines: &[(&str, &str)], tenant_id: Option<String>) -> String {
    let folder = app.folder.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let start = format!("{MONTH}-01T00:00:00Z");
    let mut text =
        "BillingAccountId,SubAccountId,SubAccountName,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,\
                    ChargePeriodEnd,BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost\n"
            .to_owned();
    for (account, billed) in lines {
        text.push_str(&format!(
            "payer,{account},Account {account},AWS,{start},{start},{start},{start},USD,Usage,EC2,{billed},{billed},{billed}\n"
        ));
    }
    std::fs::write(folder.join("bill.csv"), text).unwrap();
    let location = folder.display().to_string();
    let fields = IntegrationFields { name: name.to_owned(), location, tenant_id, ..IntegrationFields::default() };
    app.state.store.integration_create(&fields).await.unwrap().id
}

/// A tenant with the marker in its name, and what it has before its bills are read.
async fn side(app: &TestApp, marker: &'static str) -> Side {
    let store = &app.state.store;
    let tenant = store.tenant_create(&TenantFields { name: format!("{marker} ltd"), ..TenantFields::default() }).await.unwrap().id;
    let fields = TenantFields { name: format!("{marker} group"), kind: Some(TenantKind::Organisation), ..TenantFields::default() };
    let group = store.tenant_create(&fields).await.unwrap().id;
    let tenants = vec![tenant.clone(), group.clone()];
    let team = store.team_create(&TeamFields { name: format!("{marker} team"), members: Vec::new(), tenants }).await.unwrap().id;
    let account = format!("{marker}-own");
    let integration = bill(app, &format!("{marker} own"), &[(&account, "32")], Some(tenant.clone())).await;
    let ids = Mutex::new(vec![tenant.clone(), group.clone(), team.clone(), integration.clone()]);
    let nothing = String::new;
    Side {
        marker,
        tenant,
        group,
        team,
        integration,
        subaccount: nothing(),
        snapshot: nothing(),
        run: nothing(),
        key: nothing(),
        cursor: nothing(),
        ids,
    }
}
