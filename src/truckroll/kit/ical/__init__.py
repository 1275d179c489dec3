"""iCalendar (RFC 5545): read from strangers, written for phones and servers, inspected."""
