-- The name of an experiment is unique in its project.
ALTER TABLE experiments DROP CONSTRAINT experiments_name_key;
DROP INDEX experiments_by_project;
ALTER TABLE experiments ADD CONSTRAINT experiments_name_in_project UNIQUE (project_id, name);
CREATE INDEX experiments_by_name ON experiments (name);
