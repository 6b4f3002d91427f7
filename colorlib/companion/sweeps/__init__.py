"""Sweeps: one notebook executed with many settings.

```
spec      a YAML file -> its points, each with all settings
run       points as processes of this machine or of a Dask cluster
process   start and stop the process of one point
summary   finished points -> summary.csv and summary.md
command   `colorlib sweep`
```

Nothing is imported here: Dask workers import `process` alone.
"""
