"""Tasks on a Dask cluster: each done once, and given back in their order."""
