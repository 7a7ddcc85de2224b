"""``/openapi.json``: what can be asked here, in the words of OpenAPI 3.1."""
