UPDATE loads
SET passing = $2, set_aside = $3, reasons = $4, staged = $5
WHERE id = $1 AND state = 'held'
