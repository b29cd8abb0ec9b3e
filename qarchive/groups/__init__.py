"""Groups: jobs under one name that are prepared, run, retried and joined, with any provider, in any process, on any day."""
