-- One row per flight: what is known on the day of departure, and the outcome. The weather of the
-- hour takes the place of a forecast. Only `late`, the target, is known after the scheduled hour.
SELECT
    s.flight_id,
    s.time_hour,
    s.tailnum,
    s.carrier,
    s.origin,
    s.dest,
    s.distance,
    s.weekday,
    s.hour,
    s.minute,
    w.temp,
    w.dewp,
    w.humid,
    w.wind_dir,
    w.wind_speed,
    w.wind_gust,
    w.precip,
    w.pressure,
    w.visib,
    a.arr_delay > 15 AS late        -- null until the flight has arrived
FROM schedule AS s
LEFT JOIN weather AS w ON w.origin = s.origin AND w.time_hour = s.time_hour
LEFT JOIN arrivals AS a ON a.flight_id = s.flight_id
