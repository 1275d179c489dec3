"""The vendors in a box: each supported system as a server that speaks the vendor's own dialect.

Written from the vendors' documentation and specifications alone. It knows nothing of the hub and
shares no constant with it, so that a slip of the hub cannot hide behind the same slip here.
"""
