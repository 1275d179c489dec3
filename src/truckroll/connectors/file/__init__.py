"""Tables of appointments in files: CSV, XLSX, JSON lines."""
