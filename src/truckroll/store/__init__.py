"""PostgreSQL behind the ports of the sync: the embedded server, the tables, and all queries.

`truckroll.store.embedded` runs the server, `truckroll.store.open` gives a `Store`. Nothing is
imported here, so that a command pays only for what it uses.
"""
