-- What came of a task when it was last as promised: by that it is told where its address led.

ALTER TABLE refetch ADD COLUMN before {bytes};
