"""The server: what it does, how it is asked, who may ask, and where it runs."""
