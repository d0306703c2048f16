//! Which changes take `If-Match`: all of them, but for these. The document is made by this list, and a test calls every change that is not
//! in it with an ETag from before.

/// Why a change takes none.
pub(super) struct Unconditional {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) reason: &'static str,
}

const fn without(method: &'static str, path: &'static str, reason: &'static str) -> Unconditional {
    Unconditional { method, path, reason }
}

const MAKES: &str = "makes something new";
const TELLS: &str = "changes nothing";
const SESSION: &str = "a session is its browser's own: nobody else changes it";

/// What changes nothing that its caller could have read before.
pub(super) const UNCONDITIONAL: &[Unconditional] = &[
    without("POST", "/v1/tenants", MAKES),
    without("POST", "/v1/tenants/import", MAKES),
    without("POST", "/v1/tenants/{id}/cost-centers", MAKES),
    without("POST", "/v1/integrations", MAKES),
    without("POST", "/v1/virtual-integrations", MAKES),
    without("POST", "/v1/rules", MAKES),
    without("POST", "/v1/plugins", MAKES),
    without("POST", "/v1/keys", MAKES),
    without("POST", "/v1/previews", MAKES),
    without("POST", "/v1/shadows", MAKES),
    without("POST", "/v1/users", MAKES),
    without("POST", "/v1/teams", MAKES),
    without("POST", "/v1/tokens", MAKES),
    without("POST", "/v1/invitations", MAKES),
    without("POST", "/v1/invitations/accept", "the link opens once, whoever has read what"),
    without("POST", "/v1/sessions", SESSION),
    without("PUT", "/v1/session", SESSION),
    without("DELETE", "/v1/session", SESSION),
    without("POST", "/v1/session/leave", SESSION),
    without("POST", "/v1/tenants/{id}/enter", SESSION),
    without("POST", "/v1/subaccounts/review", TELLS),
    without("POST", "/v1/rules/{id}/review", TELLS),
    without("POST", "/v1/assignments/review", TELLS),
    without("POST", "/v1/runs/{id}/verify", TELLS),
    without("POST", "/v1/secrets/rotate", "every stored secret is the same under the new key"),
];

/// Why a change takes none; none for one that does.
pub(super) fn exception(method: &str, path: &str) -> Option<&'static Unconditional> {
    UNCONDITIONAL.iter().find(|known| known.method == method && known.path == path)
}
