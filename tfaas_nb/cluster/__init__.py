"""Tasks on a Dask cluster: many, each done once and given back in order; or one that tells."""
