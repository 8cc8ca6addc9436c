-- From format 1, of which `fixtures/format-1.db` is a sample, to format 2. What a column holds is said in `schema.sql`.

ALTER TABLE unlocker ADD COLUMN recipient TEXT;
ALTER TABLE unlocker ADD COLUMN since INTEGER;
CREATE UNIQUE INDEX unlocker_label ON unlocker (label);

ALTER TABLE peer ADD COLUMN note TEXT;
ALTER TABLE peer ADD COLUMN bundle BLOB;
ALTER TABLE peer ADD COLUMN recipients TEXT;
CREATE INDEX peer_server ON peer (folded) WHERE role = 'server';

ALTER TABLE certificate ADD COLUMN key_with_owner INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN overlap_ends INTEGER;
CREATE INDEX certificate_superseded ON certificate (issuer, overlap_ends) WHERE overlap_ends IS NOT NULL;

ALTER TABLE crl RENAME TO crl_of_format_1;
ALTER TABLE crl_chunk RENAME TO crl_chunk_of_format_1;
CREATE TABLE crl (
    issuer      INTEGER NOT NULL REFERENCES issuer (number),
    number      INTEGER NOT NULL,
    rung        INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    this_update INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    entries     INTEGER NOT NULL,
    entry       INTEGER NOT NULL,
    PRIMARY KEY (issuer, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE crl_chunk (
    issuer INTEGER NOT NULL,
    number INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    der    BLOB    NOT NULL,
    PRIMARY KEY (issuer, number, part),
    FOREIGN KEY (issuer, number) REFERENCES crl (issuer, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO crl SELECT issuer, number, 0, this_update, this_update, next_update, entries, entry FROM crl_of_format_1;
INSERT INTO crl_chunk SELECT part.issuer, whole.number, part.part, part.der
    FROM crl_chunk_of_format_1 part JOIN crl_of_format_1 whole ON whole.issuer = part.issuer;
DROP TABLE crl_chunk_of_format_1;
DROP TABLE crl_of_format_1;

UPDATE format SET version = 2;
