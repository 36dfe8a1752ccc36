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
SELECT loads.id, line.number - 1, loads.dataset_id, line.path,
    COALESCE(cached.content_digest, CASE WHEN line.path = loads.source_path THEN loads.content_digest END)
FROM loads
CROSS JOIN LATERAL unnest(string_to_array(loads.source_path, chr(10))) WITH ORDINALITY AS line (path, number)
LEFT JOIN source_files AS cached
    ON cached.dataset_id = loads.dataset_id AND cached.path = line.path AND cached.load_id = loads.id;

DROP INDEX loads_by_path;
ALTER TABLE loads DROP COLUMN source_path;
