DELETE FROM source_grants WHERE project_id = $1 AND prefix = $2
