-- The sum of the hashes of a run's elements (params, tags, points, inputs, artifacts), updated with each of them, so that
-- ending a run reads none. A run of an earlier version has no row until its next write; then its sum covers the changes
-- since, and is incomplete until the elements before them are added.
CREATE TABLE run_contents (
    run_number  BIGINT PRIMARY KEY REFERENCES runs (number),
    element_sum TEXT COLLATE "C" NOT NULL, -- 1024 hexadecimal digits
    is_complete BOOLEAN NOT NULL  -- whether the sum covers every element
);
