UPDATE grants SET role = role
WHERE scope_kind = 'server' AND role = 'admin'
