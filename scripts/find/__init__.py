"""`make find`: one request's story from its logs, traces and metrics."""
