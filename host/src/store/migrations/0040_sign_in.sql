-- Signing in through an organisation's OpenID Connect provider. `client_secret` is sealed with a key that is not in the database.
CREATE TABLE sign_in (
    organisation     TEXT NOT NULL PRIMARY KEY,
    tenant_id        TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    issuer           TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    client_secret    TEXT,
    scopes           TEXT NOT NULL,
    group_claim      TEXT NOT NULL,
    roles            TEXT NOT NULL,
    enforced         BIGINT NOT NULL,
    just_in_time     BIGINT NOT NULL,
    unverified_email BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);

-- Who a provider's subject is, in the organisation whose provider it is and nowhere else. `managed`: made at their first sign-in, so that
-- their groups say what they are at each one.
CREATE TABLE identities (
    organisation TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    managed      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    PRIMARY KEY (organisation, issuer, subject),
    FOREIGN KEY (user_id, organisation) REFERENCES memberships (user_id, organisation) ON DELETE CASCADE
);
CREATE INDEX identities_by_member ON identities (user_id, organisation);

-- The issuer that vouched for a session's person; null for their own password. Such a session stays in its organisation: another
-- organisation's word for who somebody is does not count elsewhere.
ALTER TABLE sessions ADD COLUMN issuer TEXT;
