-- A job whose attempts all failed is held. It stays open: no other job with its unique key is enqueued.
DROP INDEX jobs_unique_open;
CREATE UNIQUE INDEX jobs_unique_open ON jobs (unique_key) WHERE state IN ('pending', 'running', 'held');
CREATE INDEX jobs_by_state ON jobs (state, id);
