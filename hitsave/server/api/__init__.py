"""REST v1. `routes.ROUTES` is the one table that routing, OpenAPI and the tests' token matrix are made from."""
