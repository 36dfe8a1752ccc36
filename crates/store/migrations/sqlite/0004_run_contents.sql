-- The sum of the hashes of a run's elements (params, tags, points, inputs, artifacts), updated with each of them, so that
-- ending a run reads none. Runs of earlier versions have no row until their sum is computed.
CREATE TABLE run_contents (
    run_number  INTEGER PRIMARY KEY REFERENCES runs (number),
    element_sum TEXT,             -- 512 hexadecimal digits; null while it is not known
    revision    BIGINT NOT NULL   -- counts changes of the content
);
