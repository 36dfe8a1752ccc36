DELETE FROM grants
WHERE principal_id = $1
