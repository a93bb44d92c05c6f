"""Sample metrics: arrays in, `MetricResult` out."""
