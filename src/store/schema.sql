-- The store of one authority, format 3. Every statement of SQL that makes a table is here; every column says what it holds.
-- Times are whole seconds of UTC since 1970. Serials are unsigned, big-endian, without leading zeros.
-- `entry` is in every table the seq of the ledger entry that last changed the row.

CREATE TABLE format (
    version INTEGER NOT NULL            -- of this schema; a reader for every version is kept
) STRICT;

CREATE TABLE authority (
    only    INTEGER PRIMARY KEY CHECK (only = 1),  -- one row
    id      TEXT    NOT NULL,           -- random, hexadecimal; sealed secrets are bound to it
    created INTEGER NOT NULL,           -- when it was made
    entry   INTEGER NOT NULL
) STRICT;

CREATE TABLE issuer (
    number      INTEGER PRIMARY KEY,    -- counted from 1; the highest signs
    parent      INTEGER REFERENCES issuer (number),  -- the issuer above; NULL for a root
    certificate BLOB    NOT NULL,       -- DER
    sealed_key  BLOB    NOT NULL,       -- PKCS#8 PEM behind its binding, as an age file
    entry       INTEGER NOT NULL
) STRICT;

CREATE TABLE parameter (
    name  TEXT PRIMARY KEY,             -- `dh`, `vault-recipient`
    value TEXT NOT NULL,                -- PEM; the vault's public key (age)
    entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secret (
    kind   TEXT NOT NULL,               -- `control-channel-key`
    scope  TEXT NOT NULL,               -- the server it belongs to; empty for the whole authority
    sealed BLOB NOT NULL,               -- an age file
    entry  INTEGER NOT NULL,
    PRIMARY KEY (kind, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE unlocker (
    number    INTEGER PRIMARY KEY,      -- counted from 1
    kind      TEXT NOT NULL,            -- `passphrase`, `recipient`, `key-file`
    label     TEXT NOT NULL,            -- what people call it
    recipient TEXT,                     -- the public key (age, SSH, plugin); NULL for a passphrase
    since     INTEGER,                  -- when it was added; NULL where format 1 did not record it
    wrapped   BLOB NOT NULL,            -- the vault as an age file for this unlocker
    entry     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX unlocker_label ON unlocker (label);

CREATE TABLE peer (
    id      INTEGER PRIMARY KEY,        -- of the row; said nowhere outside of the database
    name    TEXT    NOT NULL,           -- as first spelled
    folded  TEXT    NOT NULL UNIQUE,    -- in lower case, computed by us: names differ in more than case
    role    TEXT    NOT NULL CHECK (role IN ('client', 'server')),  -- its certificates' extended key usage
    created INTEGER NOT NULL,           -- when the name was first given
    current INTEGER NOT NULL REFERENCES certificate (id) DEFERRABLE INITIALLY DEFERRED,  -- the certificate in bundles made now
    note    TEXT,                       -- how to reach whoever has it; NULL where nobody said
    bundle  BLOB,                       -- digest of what settings and templates put into its newest bundle; NULL before the first
    recipients TEXT,                    -- public keys to which bundles are encrypted, one a line; NULL where none is on record
    entry   INTEGER NOT NULL
) STRICT;

-- Without it a certificate that comes before its new peer would make SQLite look through all peers for the deferred reference.
CREATE INDEX peer_of_certificate ON peer (current);

-- A few among many clients.
CREATE INDEX peer_server ON peer (folded) WHERE role = 'server';

-- Narrow, since `list` reads it whole; what is long lies in tables beside it. Rows are never deleted, so that the highest
-- id is also their number.
CREATE TABLE certificate (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- counted from 1 without gaps
    serial     BLOB    NOT NULL,        -- 1 to 20 octets, unique for the issuer
    issuer     INTEGER NOT NULL REFERENCES issuer (number),  -- who signed it
    peer       INTEGER REFERENCES peer (id) DEFERRABLE INITIALLY DEFERRED,  -- NULL for a serial learned from a published CRL
    algorithm  TEXT,                    -- of the key; NULL where the peer is
    not_before INTEGER NOT NULL,        -- first second in which it holds
    not_after  INTEGER NOT NULL,        -- last second in which it holds
    issued     INTEGER NOT NULL,        -- when it was recorded
    revoked    INTEGER,                 -- when the revocation was recorded; NULL while it is not revoked
    reason     INTEGER,                 -- CRLReason (RFC 5280, 5.3.1); NULL while it is not revoked
    key_with_owner INTEGER NOT NULL DEFAULT 0,  -- 1 where its owner made the private key and never sent it
    overlap_ends INTEGER,               -- when it is refused although nobody revoked it, since it was renewed; NULL while it is not renewed
    entry      INTEGER NOT NULL,
    UNIQUE (serial, issuer),
    CHECK ((revoked IS NULL) = (reason IS NULL)),
    CHECK ((peer IS NULL) = (algorithm IS NULL))
) STRICT;

CREATE INDEX certificate_of_peer ON certificate (peer);
-- All that a CRL says of them, so that the one who signs it need not look up a million rows.
CREATE INDEX certificate_revoked ON certificate (issuer, serial, not_after, revoked, reason, overlap_ends)
    WHERE revoked IS NOT NULL;
-- Only those whose end is still to be recorded as a revocation: among many years' renewals they are few.
CREATE INDEX certificate_superseded ON certificate (issuer, overlap_ends)
    WHERE overlap_ends IS NOT NULL AND (revoked IS NULL OR reason = 6);
-- What ends soon, or ends today, is found without looking at the rest.
CREATE INDEX certificate_end ON certificate (not_after);

CREATE TABLE certificate_der (
    certificate INTEGER PRIMARY KEY REFERENCES certificate (id),  -- which
    der         BLOB    NOT NULL,       -- as it was signed
    entry       INTEGER NOT NULL
) STRICT;

CREATE TABLE sealed_key (
    certificate INTEGER PRIMARY KEY REFERENCES certificate (id),  -- whose
    sealed      BLOB    NOT NULL,       -- PKCS#8 PEM behind its binding, as an age file; the row goes when the key is dropped
    entry       INTEGER NOT NULL
) STRICT;

-- The newest CRL of each issuer and those that were signed in advance with it; of older ones the ledger keeps number,
-- dates and hash.
CREATE TABLE crl (
    issuer      INTEGER NOT NULL REFERENCES issuer (number),  -- who signed it
    number      INTEGER NOT NULL,       -- CRL number (RFC 5280, 5.2.3); only grows
    rung        INTEGER NOT NULL,       -- 0 for the one that was due when it was signed; counted from 1 for those after it
    due         INTEGER NOT NULL,       -- from when on servers should have it
    this_update INTEGER NOT NULL,       -- first second in which it holds
    next_update INTEGER NOT NULL,       -- last second in which it holds
    entries     INTEGER NOT NULL,       -- how many serials it lists
    entry       INTEGER NOT NULL,
    PRIMARY KEY (issuer, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE crl_chunk (
    issuer INTEGER NOT NULL,            -- whose CRL
    number INTEGER NOT NULL,            -- which
    part   INTEGER NOT NULL,            -- counted from 0
    der    BLOB    NOT NULL,            -- at most 256 KiB of the DER
    PRIMARY KEY (issuer, number, part),
    FOREIGN KEY (issuer, number) REFERENCES crl (issuer, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE target (
    dir    TEXT PRIMARY KEY,            -- absolute path of a directory in which a server reads the CRL
    server TEXT NOT NULL,               -- the server peer that runs there
    added  INTEGER NOT NULL,            -- since when
    entry  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,  -- counted from 1 without gaps
    act     BLOB NOT NULL UNIQUE,       -- the act's random id
    revokes INTEGER NOT NULL,           -- 1 when the entry holds a revocation, its end, or an overlap
    body    TEXT NOT NULL,              -- the entry as JSON, exactly as hashed
    hash    BLOB NOT NULL,              -- SHA-256 of the body
    mac     BLOB                        -- HMAC-SHA256 of the hash; NULL when the vault was closed
) STRICT;

CREATE INDEX ledger_revocations ON ledger (seq) WHERE revokes = 1;

-- What follows is derived from `peer` and `certificate`, so that nothing has to count or to sort them: the triggers below
-- keep it whoever writes, and `log verify` derives it again. The ledger does not know it.

-- Every peer with what its current certificate says, side by side in the order in which `list` shows them: names do not
-- come in that order, and a million rows found one by one take ten times as long.
CREATE TABLE listing (
    folded     TEXT PRIMARY KEY,        -- of the peer, as all that follows up to its certificate's serial
    name       TEXT    NOT NULL,        -- as first spelled
    role       TEXT    NOT NULL,        -- of the peer
    recipients TEXT,                    -- of the peer
    serial     BLOB    NOT NULL,        -- of the current certificate, as all that follows
    issuer     INTEGER NOT NULL,        -- who signed it
    algorithm  TEXT,                    -- of its key
    not_before INTEGER NOT NULL,        -- first second in which it holds
    not_after  INTEGER NOT NULL,        -- last second in which it holds
    issued     INTEGER NOT NULL,        -- when it was recorded
    revoked    INTEGER,                 -- when the revocation was recorded
    reason     INTEGER,                 -- CRLReason
    key_with_owner INTEGER NOT NULL,    -- 1 where its owner made the private key
    overlap_ends INTEGER                -- when it is refused although nobody revoked it
) STRICT, WITHOUT ROWID;

-- A current certificate has been renewed only where somebody meddled.
CREATE INDEX listing_superseded ON listing (overlap_ends) WHERE overlap_ends IS NOT NULL;

-- How many rows of `listing` there are of a kind, without those in `listing_superseded`.
CREATE TABLE tally (
    role  TEXT    NOT NULL,             -- of the peer
    state TEXT    NOT NULL,             -- `revoked`, `suspended`, or `kept` by time alone
    day   INTEGER NOT NULL,             -- in which it ends, counted from 1970; 0 where it is not kept
    many  INTEGER NOT NULL,             -- rows
    PRIMARY KEY (role, state, day)
) STRICT, WITHOUT ROWID;

-- How many certificates are revoked, current or not.
CREATE TABLE total (
    only    INTEGER PRIMARY KEY CHECK (only = 1),  -- one row
    revoked INTEGER NOT NULL            -- rows of `certificate` with a revocation
) STRICT;

INSERT INTO total VALUES (1, 0);

-- What `listing` and `tally` hold, computed.
CREATE VIEW listed AS
    SELECT p.folded, p.name, p.role, p.recipients, c.serial, c.issuer, c.algorithm, c.not_before, c.not_after, c.issued,
           c.revoked, c.reason, c.key_with_owner, c.overlap_ends
    FROM peer p JOIN certificate c ON c.id = p.current;
CREATE VIEW tallied AS
    SELECT role, CASE WHEN reason = 6 THEN 'suspended' WHEN revoked IS NOT NULL THEN 'revoked' ELSE 'kept' END AS state,
           CASE WHEN revoked IS NULL THEN not_after / 86400 ELSE 0 END AS day, folded
    FROM listing WHERE overlap_ends IS NULL;

-- A peer's row is made before its certificate's, and gets its current one by an update.
CREATE TRIGGER peer_updated AFTER UPDATE ON peer BEGIN
    DELETE FROM listing WHERE folded = old.folded;
    INSERT INTO listing SELECT * FROM listed WHERE folded = new.folded;
END;
CREATE TRIGGER peer_deleted AFTER DELETE ON peer BEGIN
    DELETE FROM listing WHERE folded = old.folded;
END;

CREATE TRIGGER certificate_inserted AFTER INSERT ON certificate WHEN new.revoked IS NOT NULL BEGIN
    UPDATE total SET revoked = revoked + 1;
END;
CREATE TRIGGER certificate_updated AFTER UPDATE ON certificate BEGIN
    UPDATE total SET revoked = revoked + (new.revoked IS NOT NULL) - (old.revoked IS NOT NULL);
    DELETE FROM listing WHERE folded IN (SELECT folded FROM peer WHERE current = old.id);
    INSERT INTO listing SELECT * FROM listed WHERE folded IN (SELECT folded FROM peer WHERE current = new.id);
END;
CREATE TRIGGER certificate_deleted AFTER DELETE ON certificate BEGIN
    UPDATE total SET revoked = revoked - (old.revoked IS NOT NULL);
    DELETE FROM listing WHERE folded IN (SELECT folded FROM peer WHERE current = old.id);
END;

CREATE TRIGGER listing_inserted AFTER INSERT ON listing BEGIN
    INSERT INTO tally SELECT role, state, day, 1 FROM tallied WHERE folded = new.folded
        ON CONFLICT (role, state, day) DO UPDATE SET many = many + 1;
END;
CREATE TRIGGER listing_deleted BEFORE DELETE ON listing BEGIN
    UPDATE tally SET many = many - 1
        WHERE (role, state, day) = (SELECT role, state, day FROM tallied WHERE folded = old.folded);
END;
