"""The cloud tier: a store that happens to be far away. Nothing here is imported unless a server is configured.

transport     HTTP with budgets, retries and a circuit breaker: the only home of `requests`
client        the server's API as functions
signing       team and machine keys; manifests and records signed and checked
leases        keeps alive what this process computes, waits for what others compute
outbox        the durable queue of uploads, and the thread that empties it
store         `CloudStore`: all of it behind the interface of a store
snapshots     files and directories as values
credentials   log in, log out, API keys on this machine
"""
