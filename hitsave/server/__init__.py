"""The team's server: keeps entries and blobs, grants leases, shows experiments.

It stores opaque bytes. It never unpickles, imports no user code, and holds no key that could sign an entry: whoever
takes over the server can lose results, never forge one. `main.serve` starts it, `app.build_app` is the ASGI
application. Needs the extra `hitsave[server]`.
"""
