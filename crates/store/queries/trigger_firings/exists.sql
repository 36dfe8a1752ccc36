SELECT CAST(1 AS BIGINT) AS found
FROM trigger_firings
WHERE project_id = $1 AND trigger_name = $2 AND cause_id = $3
