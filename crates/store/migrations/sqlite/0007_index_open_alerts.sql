-- Open alerts are counted, listed and resolved without reading those that were resolved.
CREATE INDEX alerts_open ON alerts (project_id, state, id) WHERE state <> 'resolved';
CREATE INDEX alerts_open_by_subject ON alerts (project_id, subject, name, window_start_ms) WHERE state <> 'resolved';
-- The latest result of a monitor of one kind.
CREATE INDEX monitor_results_by_kind ON monitor_results (project_id, monitor, kind, window_start_ms);
