-- One row an airport and hour: what is measured there now, how it came about, and
-- how much warmer it is six hours later, which is to be learnt.
SELECT
    now.observation,
    now.time_hour,
    now.origin,
    date_part('hour', now.time_hour) AS hour,           -- of UTC: the sun knows no daylight saving
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
    yesterday.temp - now.temp AS warming_to_same_hour,  -- of the hour to be foretold, a day before
    later.temp - now.temp AS warming                    -- null until that hour has been measured
FROM observations AS now
LEFT JOIN observations AS before
    ON before.origin = now.origin AND before.time_hour = now.time_hour - INTERVAL '3 hours'
LEFT JOIN observations AS yesterday
    ON yesterday.origin = now.origin AND yesterday.time_hour = now.time_hour - INTERVAL '18 hours'
LEFT JOIN observations AS later
    ON later.origin = now.origin AND later.time_hour = now.time_hour + INTERVAL '6 hours'
