"""Webhooks V2: set up by hand in the developer portal, and only a call to read the feeds.

Names and content of the events are not published, so nothing is taken from them but that
something happened (sheet, section 7).
"""

from truckroll.kit.contract import Push
from truckroll.kit.proofs import Hmac

# Whether the signature is hex or base64 is not stated; either is the same 32 bytes.
PUSH = Push(proof=Hmac("x-servicetitan-signature", encoding="either"))
