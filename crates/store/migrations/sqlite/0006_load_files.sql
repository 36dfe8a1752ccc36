-- The files of loads, which were stored as one text with a line for each file.
CREATE TABLE load_files (
    load_id        TEXT NOT NULL REFERENCES loads (id),
    ordinal        BIGINT NOT NULL,  -- from 0, in order of the paths
    dataset_id     TEXT NOT NULL REFERENCES datasets (id),
    path           TEXT NOT NULL,    -- the part of the source
    position       TEXT,             -- of the source after these rows
    content_digest TEXT,             -- the identity of the rows
    PRIMARY KEY (load_id, ordinal)
);
CREATE INDEX load_files_by_path ON load_files (dataset_id, path, load_id);

INSERT INTO load_files (load_id, ordinal, dataset_id, path, content_digest)
SELECT part.load_id, part.ordinal, part.dataset_id, part.path,
    COALESCE(cached.content_digest, CASE WHEN part.path = part.source_path THEN part.load_digest END)
FROM (
    SELECT
        loads.id AS load_id, loads.dataset_id, loads.source_path, loads.content_digest AS load_digest,
        line.key AS ordinal, replace(line.value, char(30), '\') AS path
    FROM loads, json_each(
        '[' || replace(
            -- Escape sequences of JSON begin with a backslash: those of the text are set aside first.
            json_quote(replace(replace(loads.source_path, '\', char(30)), char(10), char(31))),
            '\u001f', '","'
        ) || ']'
    ) AS line
    WHERE loads.source_path IS NOT NULL
) AS part
LEFT JOIN source_files AS cached
    ON cached.dataset_id = part.dataset_id AND cached.path = part.path AND cached.load_id = part.load_id;

DROP INDEX loads_by_path;
ALTER TABLE loads DROP COLUMN source_path;
