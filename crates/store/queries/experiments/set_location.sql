UPDATE experiments SET artifact_location = $2 WHERE id = $1
