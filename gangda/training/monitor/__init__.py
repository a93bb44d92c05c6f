"""Looking at a generator while it trains: what its samples are like, what is wrong with them, which step was best."""
