"""Monitoring a generator while it trains: measurements of its samples, alarms, the best step."""
