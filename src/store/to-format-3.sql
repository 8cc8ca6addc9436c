-- From format 2, of which `fixtures/format-2.db` is a sample, to format 3. What a table holds is said in `schema.sql`.

DROP INDEX certificate_revoked;
CREATE INDEX certificate_revoked ON certificate (issuer, serial, not_after, revoked, reason, overlap_ends)
    WHERE revoked IS NOT NULL;
DROP INDEX certificate_superseded;
CREATE INDEX certificate_superseded ON certificate (issuer, overlap_ends)
    WHERE overlap_ends IS NOT NULL AND (revoked IS NULL OR reason = 6);
CREATE INDEX certificate_end ON certificate (not_after);

CREATE TABLE listing (
    folded     TEXT PRIMARY KEY,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    recipients TEXT,
    serial     BLOB    NOT NULL,
    issuer     INTEGER NOT NULL,
    algorithm  TEXT,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    issued     INTEGER NOT NULL,
    revoked    INTEGER,
    reason     INTEGER,
    key_with_owner INTEGER NOT NULL,
    overlap_ends INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX listing_superseded ON listing (overlap_ends) WHERE overlap_ends IS NOT NULL;
CREATE TABLE tally (
    role  TEXT    NOT NULL,
    state TEXT    NOT NULL,
    day   INTEGER NOT NULL,
    many  INTEGER NOT NULL,
    PRIMARY KEY (role, state, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE total (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    revoked INTEGER NOT NULL
) STRICT;

INSERT INTO total VALUES (1, 0);
CREATE VIEW listed AS
    SELECT p.folded, p.name, p.role, p.recipients, c.serial, c.issuer, c.algorithm, c.not_before, c.not_after, c.issued,
           c.revoked, c.reason, c.key_with_owner, c.overlap_ends
    FROM peer p JOIN certificate c ON c.id = p.current;
CREATE VIEW tallied AS
    SELECT role, CASE WHEN reason = 6 THEN 'suspended' WHEN revoked IS NOT NULL THEN 'revoked' ELSE 'kept' END AS state,
           CASE WHEN revoked IS NULL THEN not_after / 86400 ELSE 0 END AS day, folded
    FROM listing WHERE overlap_ends IS NULL;

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

-- the triggers above count what is put in
INSERT INTO listing SELECT * FROM listed ORDER BY folded;
UPDATE total SET revoked = (SELECT count(*) FROM certificate WHERE revoked IS NOT NULL);

UPDATE format SET version = 3;
