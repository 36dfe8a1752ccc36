SELECT COUNT(DISTINCT principals.id)
FROM grants
INNER JOIN principals ON principals.id = grants.principal_id
WHERE grants.scope_kind = 'server' AND grants.role = 'admin'
    AND NOT principals.is_disabled AND principals.kind IN ('person', 'service')
