-- One row per airport and hour: the present observation, its recent changes, and the target: how
-- much warmer it is six hours later.
SELECT
    now.observation,
    now.time_hour,
    now.origin,
    date_part('hour', now.time_hour) AS hour,           -- in UTC, which has no daylight saving time
    now.temp,
    now.dewp,
    now.humid,
    now.wind_dir,
    now.wind_speed,
    now.precip,
    now.pressure,
    now.visib,
    now.temp - before.temp AS temp_change_3h,
    now.pressure - before.pressure AS pressure_change_3h,
    yesterday.temp - now.temp AS warming_to_same_hour,  -- the change to the predicted hour, one day earlier
    later.temp - now.temp AS warming                    -- null until that hour was observed
FROM observations AS now
LEFT JOIN observations AS before
    ON before.origin = now.origin AND before.time_hour = now.time_hour - INTERVAL '3 hours'
LEFT JOIN observations AS yesterday
    ON yesterday.origin = now.origin AND yesterday.time_hour = now.time_hour - INTERVAL '18 hours'
LEFT JOIN observations AS later
    ON later.origin = now.origin AND later.time_hour = now.time_hour + INTERVAL '6 hours'
